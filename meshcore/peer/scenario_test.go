package peer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what the engine does into the scenario files")

// A scenario file has the engine's configuration and steps. Before the input of
// a step, the engine is called at each of its own deadlines up to the step's
// time. "out" lists all effects of that, each with its time; the JavaScript
// engine must give the same.
type scenario struct {
	About  string         `json:"about"`
	Config scenarioConfig `json:"config"`
	Steps  []step         `json:"steps"`
}

type scenarioConfig struct {
	ID           wire.PeerID `json:"id"`
	Seed         uint64      `json:"seed"`
	Pass         string      `json:"pass,omitempty"`
	ReceiveOnly  bool        `json:"receive_only,omitempty"`
	Neighbors    int         `json:"neighbors,omitempty"`
	UploadRate   float64     `json:"upload_rate,omitempty"`
	UploadRatio  float64     `json:"upload_ratio,omitempty"`
	RelayRate    float64     `json:"relay_rate,omitempty"`
	CacheBytes   int64       `json:"cache_bytes,omitempty"`
	BufferGoalMS int64       `json:"buffer_goal_ms,omitempty"`
	OriginGoalMS int64       `json:"origin_goal_ms,omitempty"`
	OriginRate   float64     `json:"origin_rate,omitempty"`
}

type step struct {
	AtMS int64         `json:"at_ms"`
	Note string        `json:"note,omitempty"`
	In   inputJSON     `json:"in"`
	Out  []timedEffect `json:"out"`
}

// inputJSON is peer.Input; kind is a name of inputKinds.
type inputJSON struct {
	Kind       string          `json:"kind"`
	Peer       *wire.PeerID    `json:"peer,omitempty"`
	Segment    *wire.SegmentID `json:"segment,omitempty"`
	Chunk      uint8           `json:"chunk,omitempty"`
	OK         bool            `json:"ok,omitempty"`
	Playing    bool            `json:"playing,omitempty"`
	Relayed    bool            `json:"relayed,omitempty"`
	Bytes      int64           `json:"bytes,omitempty"`
	PositionMS int64           `json:"position_ms,omitempty"`
	WithinMS   int64           `json:"within_ms,omitempty"`
	TookMS     int64           `json:"took_ms,omitempty"`
	Size       int64           `json:"size,omitempty"`       // of the layout
	ChunkSize  int             `json:"chunk_size,omitempty"` // of the layout
	Root       uint32          `json:"root,omitempty"`
	Issued     int64           `json:"issued,omitempty"`
	Former     bool            `json:"former,omitempty"`

	Evidence    *signal.Evidence `json:"evidence,omitempty"`
	Message     *messageJSON     `json:"message,omitempty"`
	Manifest    *manifestJSON    `json:"manifest,omitempty"`
	Signal      *signal.Message  `json:"signal,omitempty"`
	Pass        string           `json:"pass,omitempty"`
	ReceiveOnly bool             `json:"receive_only,omitempty"`
}

type manifestJSON struct {
	Rendition string        `json:"rendition"`
	Number    string        `json:"number"` // 16 hexadecimal digits
	Live      bool          `json:"live,omitempty"`
	FromMS    int64         `json:"from_ms,omitempty"`
	WaitMS    int64         `json:"wait_ms,omitempty"`
	Segments  []segmentJSON `json:"segments"`
}

type segmentJSON struct {
	ID         wire.SegmentID `json:"id"`
	Sequence   int64          `json:"sequence"`
	StartMS    int64          `json:"start_ms"`
	DurationMS int64          `json:"duration_ms"`
	Size       int64          `json:"size,omitempty"`
	Private    bool           `json:"private,omitempty"`
}

// messageJSON is wire.Message; masks and the rendition are 16 hexadecimal digits.
type messageJSON struct {
	Type      string          `json:"type"`
	Version   uint8           `json:"version,omitempty"`
	Flags     uint8           `json:"flags,omitempty"`
	Reason    uint8           `json:"reason,omitempty"`
	Index     uint8           `json:"index,omitempty"`
	WithinMS  uint32          `json:"within_ms,omitempty"`
	RetryMS   uint32          `json:"retry_ms,omitempty"`
	Nonce     uint32          `json:"nonce,omitempty"`
	Total     uint32          `json:"total,omitempty"`
	Peer      *wire.PeerID    `json:"peer,omitempty"`
	Rendition string          `json:"rendition,omitempty"`
	Segment   *wire.SegmentID `json:"segment,omitempty"`
	Mask      string          `json:"mask,omitempty"`
	Root      uint32          `json:"root,omitempty"`
	Token     string          `json:"token,omitempty"`
	Haves     []haveJSON      `json:"haves,omitempty"`
}

type haveJSON struct {
	Segment wire.SegmentID `json:"segment"`
	Chunks  uint8          `json:"chunks"`
	Mask    string         `json:"mask"`
	Root    uint32         `json:"root,omitempty"`
}

type timedEffect struct {
	AtNS    int64           `json:"at_ns"`
	Kind    string          `json:"kind"`
	Peer    *wire.PeerID    `json:"peer,omitempty"`
	Segment *wire.SegmentID `json:"segment,omitempty"`
	Chunk   *uint8          `json:"chunk,omitempty"`
	Chunks  string          `json:"chunks,omitempty"`
	Message *messageJSON    `json:"message,omitempty"`
	Signal  json.RawMessage `json:"signal,omitempty"`
}

var inputKinds = map[string]peer.InputKind{
	"tick": peer.Tick, "manifest": peer.ManifestIn, "play": peer.Play, "need": peer.Need,
	"neighbor_up": peer.NeighborUp, "neighbor_down": peer.NeighborDown, "offered": peer.Offered, "receive": peer.Receive,
	"sent": peer.Sent, "pass_checked": peer.PassChecked, "proof_checked": peer.ProofChecked, "chunk_checked": peer.ChunkChecked,
	"origin_proof": peer.OriginProof, "origin_chunk": peer.OriginChunk, "origin_done": peer.OriginDone, "origin_timed": peer.OriginTimed,
	"signal": peer.SignalIn, "joined": peer.Joined, "set_upload": peer.SetUpload, "renewed": peer.Renewed, "network_changed": peer.NetworkChanged,
}

var effectKinds = map[peer.EffectKind]string{
	peer.Connect: "connect", peer.Accept: "accept", peer.Disconnect: "disconnect", peer.Send: "send",
	peer.SendChunk: "send_chunk", peer.SendProof: "send_proof", peer.CheckPass: "check_pass", peer.CheckProof: "check_proof",
	peer.CheckChunk: "check_chunk", peer.FetchOrigin: "fetch_origin", peer.CancelOrigin: "cancel_origin",
	peer.Complete: "complete", peer.Evict: "evict", peer.Signal: "signal",
}

// TestScenarios plays each file of testdata/scenarios against the engine.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../testdata/scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var sc scenario
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			if err := d.Decode(&sc); err != nil {
				t.Fatal(err)
			}
			got := play(t, &sc)
			if *rewrite {
				for i := range sc.Steps {
					sc.Steps[i].Out = got[i]
				}
				out, _ := json.MarshalIndent(&sc, "", " ")
				if err := os.WriteFile(f, append(out, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for i := range sc.Steps {
				if want := sc.Steps[i].Out; !sameEffects(want, got[i]) {
					w, _ := json.MarshalIndent(want, "", " ")
					g, _ := json.MarshalIndent(got[i], "", " ")
					t.Fatalf("step %d at %d ms (%s): want\n%s\ngot\n%s", i, sc.Steps[i].AtMS, sc.Steps[i].In.Kind, w, g)
				}
			}
		})
	}
}

func sameEffects(a, b []timedEffect) bool {
	var x, y any
	ab, _ := json.Marshal(a)
	bb, _ := json.Marshal(b)
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	return json.Unmarshal(ab, &x) == nil && json.Unmarshal(bb, &y) == nil && reflect.DeepEqual(x, y)
}

// play runs a scenario and gives the effects of each step.
func play(t *testing.T, sc *scenario) [][]timedEffect {
	ms := time.Millisecond
	c := sc.Config
	e := peer.New(peer.Config{ID: c.ID, Seed: c.Seed, Pass: c.Pass, ReceiveOnly: c.ReceiveOnly, Neighbors: c.Neighbors,
		UploadRate: c.UploadRate, UploadRatio: c.UploadRatio, RelayRate: c.RelayRate, CacheBytes: c.CacheBytes,
		BufferGoal: time.Duration(c.BufferGoalMS) * ms, OriginGoal: time.Duration(c.OriginGoalMS) * ms, OriginRate: c.OriginRate})
	var out [][]timedEffect
	started := false
	for i := range sc.Steps {
		st := &sc.Steps[i]
		at := time.Duration(st.AtMS) * ms
		effects := []timedEffect{}
		for rounds := 0; started && e.NextDeadline() <= at; rounds++ {
			if rounds > 10000 {
				t.Fatalf("step %d: the engine's deadlines do not move on", i)
			}
			now := e.NextDeadline()
			effects = appendEffects(effects, now, e.Step(now, &peer.Input{}))
		}
		in := toInput(t, &st.In)
		effects = appendEffects(effects, at, e.Step(at, &in))
		started = true
		out = append(out, effects)
	}
	return out
}

func toInput(t *testing.T, j *inputJSON) peer.Input {
	kind, ok := inputKinds[j.Kind]
	if !ok {
		t.Fatalf("no input kind %q", j.Kind)
	}
	ms := time.Millisecond
	in := peer.Input{Kind: kind, Chunk: j.Chunk, OK: j.OK, Playing: j.Playing, Relayed: j.Relayed, Bytes: j.Bytes,
		Position: time.Duration(j.PositionMS) * ms, Within: time.Duration(j.WithinMS) * ms, Took: time.Duration(j.TookMS) * ms,
		Layout: integrity.Layout{Size: j.Size, ChunkSize: j.ChunkSize}, Signal: j.Signal, Pass: j.Pass, ReceiveOnly: j.ReceiveOnly,
		Root: j.Root, Issued: j.Issued, Former: j.Former, Evidence: j.Evidence}
	if j.Peer != nil {
		in.Peer = *j.Peer
	}
	if j.Segment != nil {
		in.Segment = *j.Segment
	}
	if m := j.Manifest; m != nil {
		in.Manifest = &peer.Manifest{Rendition: m.Rendition, Number: unhex(t, m.Number), Live: m.Live, From: time.Duration(m.FromMS) * ms, Wait: time.Duration(m.WaitMS) * ms}
		for _, s := range m.Segments {
			in.Manifest.Segments = append(in.Manifest.Segments, peer.Segment{ID: s.ID, Sequence: s.Sequence,
				Start: time.Duration(s.StartMS) * ms, Duration: time.Duration(s.DurationMS) * ms, Size: s.Size, Private: s.Private})
		}
	}
	if m := j.Message; m != nil {
		w := wire.Message{Version: m.Version, Flags: m.Flags, Reason: m.Reason, Index: m.Index, Within: m.WithinMS, Retry: m.RetryMS,
			Nonce: m.Nonce, Total: m.Total, Token: m.Token, Rendition: unhex(t, m.Rendition), Mask: unhex(t, m.Mask), Root: m.Root}
		for w.Type = wire.Hello; w.Type.String() != m.Type; w.Type++ {
			if w.Type > wire.Bye {
				t.Fatalf("no message type %q", m.Type)
			}
		}
		if m.Peer != nil {
			w.Peer = *m.Peer
		}
		if m.Segment != nil {
			w.Segment = *m.Segment
		}
		for _, h := range m.Haves {
			w.Haves = append(w.Haves, wire.SegmentHave{Segment: h.Segment, Chunks: h.Chunks, Mask: unhex(t, h.Mask), Root: h.Root})
		}
		in.Message = &w
	}
	return in
}

func unhex(t *testing.T, s string) uint64 {
	if s == "" {
		return 0
	}
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		t.Fatalf("%q is not 16 hexadecimal digits", s)
	}
	return v
}

func hex(v uint64) string { return fmt.Sprintf("%016x", v) }

func appendEffects(to []timedEffect, now time.Duration, effects []peer.Effect) []timedEffect {
	for i := range effects {
		f := &effects[i]
		j := timedEffect{AtNS: int64(now), Kind: effectKinds[f.Kind]}
		if f.Peer != 0 {
			p := f.Peer
			j.Peer = &p
		}
		if f.Segment != 0 {
			s := f.Segment
			j.Segment = &s
		}
		switch f.Kind {
		case peer.SendChunk, peer.CheckChunk:
			c := f.Chunk
			j.Chunk = &c
		case peer.FetchOrigin:
			j.Chunks = hex(f.Chunks)
		case peer.Send, peer.CheckProof, peer.CheckPass:
			j.Message = toMessage(&f.Message)
		case peer.Signal:
			j.Signal = signal.Encode(f.Signal)
		}
		to = append(to, j)
	}
	return to
}

func toMessage(m *wire.Message) *messageJSON {
	j := &messageJSON{Type: m.Type.String(), Version: m.Version, Flags: m.Flags, Reason: m.Reason, Index: m.Index,
		WithinMS: m.Within, RetryMS: m.Retry, Nonce: m.Nonce, Total: m.Total, Token: m.Token, Root: m.Root}
	if m.Peer != 0 {
		p := m.Peer
		j.Peer = &p
	}
	if m.Segment != 0 {
		s := m.Segment
		j.Segment = &s
	}
	if m.Rendition != 0 {
		j.Rendition = hex(m.Rendition)
	}
	if m.Mask != 0 {
		j.Mask = hex(m.Mask)
	}
	for _, h := range m.Haves {
		j.Haves = append(j.Haves, haveJSON{h.Segment, h.Chunks, hex(h.Mask), h.Root})
	}
	return j
}
