package turnserver_test

import (
	"fmt"
	"net/netip"

	"github.com/viewmesh/viewmesh/turnserver"
)

// A relay for the viewers of a site, which learn credentials for it with their session.
func Example() {
	policy := turnserver.Policy{
		RelayEnabled:  true,
		Secrets:       [][]byte{[]byte("a shared secret")},
		UserBandwidth: 2 << 20,
	}
	s, err := turnserver.New(turnserver.Config{
		Realm:        "video.example.com",
		RelayAddress: netip.MustParseAddr("203.0.113.7"),
		RelayPorts:   turnserver.PortRange{Min: 49160, Max: 49999},
		Policy:       policy,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if _, err := s.ListenUDP("127.0.0.1:0", 2); err != nil { // ":3478" in earnest
		fmt.Println(err)
		return
	}
	fmt.Println("relay offered:", s.RelayAvailable())

	policy.RelayEnabled = false // a reload; no socket is bound anew
	if err := s.SetPolicy(policy); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("relay offered:", s.RelayAvailable())
	// Output:
	// relay offered: true
	// relay offered: false
}
