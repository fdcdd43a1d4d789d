package viewer

import (
	"net"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/web"
	"github.com/viewmesh/viewmesh/meshcore/peer"
)

// lookEvery is how often the addresses of this machine are looked at.
const lookEvery = time.Second

// watchNetwork looks for a change of the machine's addresses until the viewer is closed.
func (v *Viewer) watchNetwork() {
	defer v.work.Done()
	before := localAddresses()
	for v.sleep(lookEvery) {
		if now := localAddresses(); now != nil && !slices.Equal(now, before) {
			before = now
			v.call(v.networkChanged)
		}
	}
}

// localAddresses returns the addresses of this machine that others may reach it at, in
// order, or nil while it has none: there is nothing to change to.
func localAddresses() (out []string) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.String())
		}
	}
	slices.Sort(out)
	return out
}

// networkChanged has everything go on over the network that is there now: HTTP, the
// signaling WebSocket, the sockets that neighbors reach us at. Neighbors stay: with each,
// a path is looked for anew once the edge can be reached.
func (v *Viewer) networkChanged() {
	v.log.Debug("the network has changed")
	if t, ok := v.cfg.HTTP.Transport.(*web.Transport); ok {
		t.Renew()
	}
	if v.net != nil {
		if _, err := v.net.Rebind(); err != nil {
			v.log.Debug("a socket was not moved", "err", err)
		}
	}
	v.stale = true
	v.input(peer.Input{Kind: peer.NetworkChanged})
	select {
	case v.moved <- struct{}{}:
	default:
	}
	if k := v.socket; k != nil {
		v.socket = nil
		v.work.Add(1)
		go func() {
			defer v.work.Done()
			k.Abort()
		}()
	}
}

// restartLinks looks for paths anew, if those that are there lead through another network.
func (v *Viewer) restartLinks() {
	if !v.stale {
		return
	}
	v.stale = false
	for _, l := range v.links {
		l.conn.Restart()
	}
}
