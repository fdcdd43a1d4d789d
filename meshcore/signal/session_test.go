package signal

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// sessions is what the session endpoint may be sent. field is the field at fault;
// "!" stands for no object, "!!" for too large, and empty for a good request.
var sessions = []struct{ name, body, field string }{
	{"the least", `{"v":1,"swarm":"abc"}`, ""},
	{"everything", `{"v":1,"swarm":"abc","token":"t","mode":"receive_only","device":{"kind":"mobile","connection":"cellular","memory_mib":4096,"battery":0.5,"save_data":true}}`, ""},
	{"full mode on mains power", `{"v":1,"swarm":"abc","mode":"full","device":{"kind":"tv","connection":"ethernet","battery":null}}`, ""},
	{"an empty battery", `{"v":1,"swarm":"abc","device":{"battery":0}}`, ""},
	{"a full battery", `{"v":1,"swarm":"abc","device":{"battery":1}}`, ""},
	{"an unknown field", `{"v":1,"swarm":"abc","color":"red","device":{"color":"red"}}`, ""},
	{"an unknown connection, said so", `{"v":1,"swarm":"abc","device":{"connection":"unknown"}}`, ""},
	{"the longest swarm", `{"v":1,"swarm":"{{s*256}}"}`, ""},
	{"the longest token", `{"v":1,"swarm":"abc","token":"{{t*8192}}"}`, ""},
	{"no version", `{"swarm":"abc"}`, "v"},
	{"version 2", `{"v":2,"swarm":"abc"}`, "v"},
	{"a version that is a word", `{"v":"1","swarm":"abc"}`, "v"},
	{"half a version", `{"v":1.5,"swarm":"abc"}`, "v"},
	{"a very long version", `{"v":1{{0*9999}},"swarm":"abc"}`, "v"},
	{"no swarm", `{"v":1}`, "swarm"},
	{"a swarm over the limit", `{"v":1,"swarm":"{{s*257}}"}`, "swarm"},
	{"a swarm that is a number", `{"v":1,"swarm":7}`, "swarm"},
	{"a token over the limit", `{"v":1,"swarm":"abc","token":"{{t*8193}}"}`, "token"},
	{"a token that is an object", `{"v":1,"swarm":"abc","token":{}}`, "token"},
	{"an unknown mode", `{"v":1,"swarm":"abc","mode":"seed"}`, "mode"},
	{"a very long mode", `{"v":1,"swarm":"abc","mode":"{{m*9999}}"}`, "mode"},
	{"a device that is a string", `{"v":1,"swarm":"abc","device":"tv"}`, "device"},
	{"an unknown kind", `{"v":1,"swarm":"abc","device":{"kind":"toaster"}}`, "device.kind"},
	{"a kind of other case", `{"v":1,"swarm":"abc","device":{"kind":"TV"}}`, "device.kind"},
	{"an unlisted connection", `{"v":1,"swarm":"abc","device":{"connection":"pigeon"}}`, "device.connection"},
	{"negative memory", `{"v":1,"swarm":"abc","device":{"memory_mib":-1}}`, "device.memory_mib"},
	{"half a MiB", `{"v":1,"swarm":"abc","device":{"memory_mib":0.5}}`, "device.memory_mib"},
	{"a battery over 1", `{"v":1,"swarm":"abc","device":{"battery":1.01}}`, "device.battery"},
	{"a negative battery", `{"v":1,"swarm":"abc","device":{"battery":-0.01}}`, "device.battery"},
	{"a battery in words", `{"v":1,"swarm":"abc","device":{"battery":"half"}}`, "device.battery"},
	{"save_data in words", `{"v":1,"swarm":"abc","device":{"save_data":"yes"}}`, "device.save_data"},
	{"nothing", ``, "!"},
	{"no JSON", `v=1&swarm=abc`, "!"},
	{"null", `null`, "!"},
	{"an array", `[]`, "!"},
	{"half an object", `{"v":1,"swarm":"abc"`, "!"},
	{"two objects", `{"v":1,"swarm":"abc"}{}`, "!"},
	{"too large", `{"v":1,"swarm":"abc","new":"{{n*16384}}"}`, "!!"},
}

// fault says what an error of DecodeSession is about, as in the table.
func fault(err error) string {
	var fe *FieldError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fe):
		return fe.Field
	case errors.Is(err, ErrRequest):
		return "!"
	case errors.Is(err, ErrTooLarge):
		return "!!"
	}
	return "an error of no kind: " + err.Error()
}

func TestDecodeSession(t *testing.T) {
	for _, c := range sessions {
		r, err := DecodeSession([]byte(expand(c.body)))
		if got := fault(err); got != c.field {
			t.Errorf("%s: fault %q (%v), want %q", c.name, got, err, c.field)
		}
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("%s: the error repeats %d bytes of what was sent", c.name, len(err.Error()))
			}
			continue
		}
		b, _ := json.Marshal(r)
		if again, err := DecodeSession(b); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%s: came back as %+v, %v", c.name, again, err)
		}
	}
}

// TestFieldErrorNamesTheRemedy: the text goes to a person, in a problem document.
func TestFieldErrorNamesTheRemedy(t *testing.T) {
	for body, want := range map[string]string{
		`{"v":2}`: "v is 2, this edge speaks version 1",
		`{"v":1}`: "swarm is missing; take it from the Mesh-Bootstrap header of the manifest",
		`{"v":1,"swarm":"a","device":{"battery":"half"}}`: "device.battery is a JSON string, want a number",
		`{"v":1,"swarm":"a","device":1}`:                  "device is a JSON number, want an object",
		`{"v":1,"swarm":"a","mode":"seed"}`:               `mode is "seed", want one of full, receive_only`,
	} {
		if _, err := DecodeSession([]byte(body)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	if strings.Contains(ErrRequest.Error(), "\n") {
		t.Error("an error of two lines")
	}
}
