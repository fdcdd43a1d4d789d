package response

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSpanReader: a file that grows or shrinks while it is sent neither adds a
// byte nor goes on forever.
func TestSpanReader(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, bytes.Repeat([]byte("a"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(100, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	s := &spanReader{f: f, end: 900, slice: 512}
	if _, err := s.SyscallConn(); err != nil {
		t.Errorf("with 800 bytes left and slices of 512: %v", err)
	}
	g, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	g.Close()
	if _, err := io.ReadFull(s, make([]byte, 400)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SyscallConn(); err == nil {
		t.Error("the descriptor was given away with less than a slice left")
	}
	rest, err := io.ReadAll(s)
	if err != nil || len(rest) != 400 {
		t.Errorf("the rest has %d bytes (%v), want 400", len(rest), err)
	}
	start := time.Now()
	if err := os.Truncate(name, 10); err != nil {
		t.Fatal(err)
	}
	short := &spanReader{f: f, end: 5000, slice: 512}
	if _, err := io.ReadAll(short); err != nil || time.Since(start) > time.Second {
		t.Errorf("a file cut short: %v after %s", err, time.Since(start))
	}
}
