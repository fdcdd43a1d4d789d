package insight

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/edge/internal/reply"
)

// OpenAPI describes the data API.
//
//go:embed openapi.json
var OpenAPI []byte

const (
	// liveEvery is how often the live stream has an event.
	liveEvery = 2 * time.Second
	// maxLive bounds the live streams that are open at once.
	maxLive = 64
	// maxListed bounds the sessions of an answer.
	maxListed = 500
)

var liveStreams atomic.Int64

// Answer is the body of a summary or a series.
type Answer struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	IntervalMS int64     `json:"interval_ms"`
	Groups     []Group   `json:"groups"`
	// History is why rows do not reach the disk, "" while they do.
	History string `json:"history,omitempty"`
}

// Serve answers a request of the data API for a host, or for all hosts for "". name is what
// the path has below that of the API. The caller has checked that the sender may read. handled
// is false if there is nothing of that name.
func (in *Insight) Serve(w http.ResponseWriter, r *http.Request, host, name string) (handled bool, err error) {
	serve := map[string]func(http.ResponseWriter, *http.Request, string) error{
		"summary": in.serveSummary, "series": in.serveSeries, "now": in.serveNow, "sessions": in.serveSessions, "live": in.serveLive,
		"openapi.json": serveOpenAPI,
	}[name]
	if serve == nil {
		return false, nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return true, reply.Refuse(w, http.StatusMethodNotAllowed, "method", "use GET")
	}
	err = serve(w, r, host)
	if bad := (*paramError)(nil); errors.As(err, &bad) {
		return true, reply.WriteProblem(w, reply.Problem{Status: http.StatusBadRequest, Code: "bad_field", Field: bad.field, Detail: bad.Error()})
	}
	return true, err
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request, _ string) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(OpenAPI)
	return err
}

func (in *Insight) serveSummary(w http.ResponseWriter, r *http.Request, host string) error {
	return in.serveFigures(w, r, host, false)
}

func (in *Insight) serveSeries(w http.ResponseWriter, r *http.Request, host string) error {
	return in.serveFigures(w, r, host, true)
}

func (in *Insight) serveFigures(w http.ResponseWriter, r *http.Request, host string, series bool) error {
	q, err := parseQuery(r.URL.Query(), in.now().UTC())
	if err != nil {
		return err
	}
	q.host = host
	format := r.URL.Query().Get("format")
	if format != "" && format != "json" && format != "csv" {
		return &paramError{"format", fmt.Sprintf("is %.32q; write json or csv", format)}
	}
	found, err := q.run(in)
	if err != nil {
		return err
	}
	groups := q.answer(found, series)
	if format == "csv" {
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="mesh.csv"`)
		h.Set("Cache-Control", "no-store")
		return writeCSV(w, groups, series)
	}
	a := Answer{From: q.from, To: q.to, IntervalMS: q.step.Milliseconds(), Groups: groups}
	if err := in.Failed(); err != nil {
		a.History = err.Error()
	}
	return reply.JSON(w, "no-store", a)
}

func (in *Insight) serveNow(w http.ResponseWriter, _ *http.Request, host string) error {
	return reply.JSON(w, "no-store", nowOf(in, host))
}

func (in *Insight) serveSessions(w http.ResponseWriter, r *http.Request, host string) error {
	limit := 20
	if s := r.URL.Query().Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxListed {
			return &paramError{"limit", fmt.Sprintf("is %.32q; write 1 to %d", s, maxListed)}
		}
		limit = n
	}
	return reply.JSON(w, "no-store", struct {
		Sessions []SessionNow `json:"sessions"`
	}{sessionsOf(in.Meters, host, limit)})
}

// serveLive streams Now as server-sent events, until the reader goes or in is closed.
func (in *Insight) serveLive(w http.ResponseWriter, r *http.Request, host string) error {
	if liveStreams.Add(1) > maxLive {
		liveStreams.Add(-1)
		return reply.RefuseUntil(w, http.StatusServiceUnavailable, 10*time.Second, "too_many", "too many live streams are open; ask for now instead")
	}
	defer liveStreams.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	server := http.NewResponseController(w)
	_ = server.SetWriteDeadline(time.Time{})
	every := time.NewTicker(liveEvery)
	defer every.Stop()
	for {
		b, err := json.Marshal(nowOf(in, host))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return nil // the reader has gone
		}
		if err := server.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-in.done:
			return nil
		case <-every.C:
		}
	}
}
