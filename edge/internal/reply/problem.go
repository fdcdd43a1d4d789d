package reply

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Problem is the body of an error answer (RFC 9457, application/problem+json).
type Problem struct {
	Type   string `json:"type"` // "about:blank": Title is that of the status
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code is a stable short word.
	Code string `json:"code,omitempty"`
	// Field is the field of the request that is wrong, where it is one.
	Field string `json:"field,omitempty"`
}

// Refuse answers with a problem that no cache keeps.
func Refuse(w http.ResponseWriter, status int, code, detail string) error {
	return WriteProblem(w, Problem{Status: status, Code: code, Detail: detail})
}

// RefuseUntil is Refuse with a Retry-After of at least a second.
func RefuseUntil(w http.ResponseWriter, status int, after time.Duration, code, detail string) error {
	seconds := max(1, int64((after+time.Second-1)/time.Second))
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	return Refuse(w, status, code, detail)
}

// WriteProblem answers with p; it fills in Type and Title.
func WriteProblem(w http.ResponseWriter, p Problem) error {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	return write(w, p.Status, "application/problem+json", "no-store", p)
}

// JSON answers 200 with v and a Cache-Control.
func JSON(w http.ResponseWriter, cacheControl string, v any) error {
	return write(w, http.StatusOK, "application/json", cacheControl, v)
}

func write(w http.ResponseWriter, status int, contentType, cacheControl string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", cacheControl)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
