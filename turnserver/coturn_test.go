package turnserver

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/viewmesh/viewmesh/internal/program"
)

// coturn's client loses nothing over any transport, by channels or by indications, to
// a peer and from client to client.
func TestCoturnClientLosesNothing(t *testing.T) {
	uclient := program.Need(t, "talks to the server as clients do", "coturn", "turnutils_uclient")
	cert, key := clientFiles(t)
	to := echo(t)
	_, peerPort, _ := net.SplitHostPort(to.String())
	ways := map[string][]string{
		"channels":                      {"-c", "-e", "127.0.0.1", "-r", peerPort},
		"padded channels":               {"-c", "-D", "-e", "127.0.0.1", "-r", peerPort},
		"indications":                   {"-c", "-s", "-e", "127.0.0.1", "-r", peerPort},
		"client to client":              {"-c", "-y"},
		"client to client, indications": {"-c", "-y", "-s"},
		"pairs of ports":                {"-y"}, // EVEN-PORT and RESERVATION-TOKEN
	}
	var wg sync.WaitGroup // all at once: the client is slow, but idle most of the time
	for tr := range transports {
		s := start(t, func(c *Config) { c.Policy.UserAllocations = -1 })
		_, port, _ := net.SplitHostPort(listen(t, s, tr).String())
		for name, way := range ways {
			args := []string{"-n", "40", "-m", "4", "-l", "1000", "-z", "5", "-u", "viewer", "-W", string(secret), "-p", port}
			switch tr {
			case TCP:
				args = append(args, "-t")
			case TLS:
				args = append(args, "-t", "-S", "-i", cert, "-k", key)
			}
			args = append(append(args, way...), "127.0.0.1")
			wg.Go(func() {
				out, err := exec.CommandContext(t.Context(), uclient, args...).CombinedOutput()
				if err != nil {
					t.Errorf("%s over %v: %v\n%s", name, tr, err, out)
					return
				}
				lost := lostPackets.FindSubmatch(out)
				sums := sentAndReceived.FindAllSubmatch(out, -1)
				if lost == nil || len(sums) == 0 {
					t.Errorf("%s over %v: no summary in\n%s", name, tr, out)
					return
				}
				sent, received := string(sums[len(sums)-1][1]), string(sums[len(sums)-1][2])
				if string(lost[1]) != "0" || sent == "0" || sent != received {
					t.Errorf("%s over %v: lost %s, sent %s, received %s; the server's drops: %v\n%s",
						name, tr, lost[1], sent, received, s.Stats().Drops, out)
				}
			})
		}
	}
	wg.Wait()
}

var (
	lostPackets     = regexp.MustCompile(`Total lost packets (\d+)`)
	sentAndReceived = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`)
)

func TestCoturnClientGetsNoTCPRelay(t *testing.T) {
	uclient := program.Need(t, "talks to the server as clients do", "coturn", "turnutils_uclient")
	s := start(t, nil)
	_, port, _ := net.SplitHostPort(listen(t, s, TCP).String())
	ctx := t.Context()
	cmd := exec.CommandContext(ctx, uclient, "-T", "-y", "-n", "1", "-m", "2", "-u", "viewer", "-W", string(secret), "-p", port, "127.0.0.1")
	out, _ := cmd.CombinedOutput()
	if st := s.Stats(); st.AllocationsTotal["tcp"] != 0 || st.Refused[442] == 0 {
		t.Errorf("%d allocations, refusals %v:\n%s", st.AllocationsTotal["tcp"], st.Refused, out)
	}
}

func TestCoturnSTUNClient(t *testing.T) {
	stunclient := program.Need(t, "talks to the server as clients do", "coturn", "turnutils_stunclient")
	s := start(t, func(c *Config) { c.Policy = Policy{} })
	_, port, _ := net.SplitHostPort(listen(t, s, UDP).String())
	out, err := exec.CommandContext(t.Context(), stunclient, "-p", port, "127.0.0.1").CombinedOutput()
	if err != nil || !regexp.MustCompile(`UDP reflexive addr: 127\.0\.0\.1:\d+`).Match(out) {
		t.Errorf("no reflexive address (%v) in:\n%s", err, out)
	}
}

// clientFiles writes the certificate and key that coturn's client wants of its own.
func clientFiles(t testing.TB) (cert, key string) {
	t.Helper()
	der, private := keyPair(t)
	b, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: b},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}
