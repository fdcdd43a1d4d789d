package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// problem is the body of an error answer (RFC 9457, application/problem+json).
type problem struct {
	Type   string `json:"type"` // "about:blank": Title is that of the status
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code is a stable short word.
	Code string `json:"code,omitempty"`
	// Field is the field of the request that is wrong, where it is one.
	Field string `json:"field,omitempty"`
}

// refuse answers with a problem that no cache keeps.
func refuse(w http.ResponseWriter, status int, code, detail string) error {
	return writeProblem(w, problem{Status: status, Code: code, Detail: detail})
}

// refuseUntil is refuse with a Retry-After of at least a second.
func refuseUntil(w http.ResponseWriter, status int, after time.Duration, code, detail string) error {
	seconds := max(1, int64((after+time.Second-1)/time.Second))
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	return refuse(w, status, code, detail)
}

func writeProblem(w http.ResponseWriter, p problem) error {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, err = w.Write(body)
	return err
}

// writeJSON answers 200 with v and a Cache-Control.
func writeJSON(w http.ResponseWriter, cacheControl string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", cacheControl)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
	return err
}
