package turnserver

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/pion/stun"
)

// Frames may be cut anywhere, and several may come at once: each is answered, and what is
// too long is passed over.
func TestStreamsAreCutAnywhere(t *testing.T) {
	ask := func() []byte { return stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw }
	long := append([]byte{0x40, 0, 0x20, 0}, make([]byte, 0x2000)...)
	stream := bytes.Join([][]byte{ask(), {0x40, 0, 0, 0}, ask(), {0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0}, long, ask()}, nil)
	const answers = 3
	sizes := []int{1, 2, 3, 7, 19, 21, 1000, maxDatagram, len(stream)}
	for tr := range transports {
		if tr == UDP {
			continue
		}
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, nil)
			server := listen(t, s, tr)
			for _, size := range sizes {
				conn := dialStream(t, tr, server)
				wrote := make(chan error, 1)
				go func() {
					var err error
					for at := 0; at < len(stream) && err == nil; at += size {
						_, err = conn.Write(stream[at:min(at+size, len(stream))])
					}
					wrote <- err
				}()
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				var head [stunHeader]byte
				for i := range answers {
					if _, err := io.ReadFull(conn, head[:]); err != nil {
						t.Fatalf("pieces of %d, answer %d: %v", size, i, err)
					}
					if c, m := splitType(uint16(head[0])<<8 | uint16(head[1])); c != classSuccess || m != methodBinding {
						t.Fatalf("pieces of %d, answer %d begins with %x", size, i, head)
					}
					if _, err := io.CopyN(io.Discard, conn, int64(head[2])<<8|int64(head[3])); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-wrote; err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
			}
			st := s.Stats()
			if n := int64(len(sizes)); st.Bindings != 3*n || st.Drops["oversize"] != n || st.Drops["allocation"] != 2*n {
				t.Errorf("%d bindings, drops %v", st.Bindings, st.Drops)
			}
		})
	}
}

// A client that sends its last message and leaves is gone at once, also where the end
// comes together with the message.
func TestStreamsEndWithTheirLastMessage(t *testing.T) {
	for tr := range transports {
		if tr == UDP {
			continue
		}
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, nil)
			server := listen(t, s, tr)
			for range 100 {
				conn := dialStream(t, tr, server)
				if _, err := conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
					t.Fatal(err)
				}
				_ = conn.(interface{ CloseWrite() error }).CloseWrite()
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Fatalf("%v, want the end", err)
				}
				_ = conn.Close()
			}
		})
	}
}
