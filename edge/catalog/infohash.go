package catalog

import "github.com/viewmesh/viewmesh/meshcore/webtorrent"

// maxInfoHashNames is for how many names of hosts info hashes are kept.
const maxInfoHashNames = 64

// infoHashes are those of the streams of a host's presentations, by which clients of the
// tracker name them. A hash is made of the URL of a manifest, and so of a name of the host.
type infoHashes struct {
	changes uint64 // of what makes them; under the catalog's lock, as all of it
	byName  map[string]*namedHashes
}

// namedHashes are the info hashes of a host under one of its names.
type namedHashes struct {
	of      map[webtorrent.ID]*Presentation
	changes uint64 // when they were made
}

// find returns the presentation for an info hash under a name; current is false if what is known
// under that name is not of now.
func (h *infoHashes) find(name string, hash webtorrent.ID) (p *Presentation, current bool) {
	n := h.byName[name]
	if n == nil || n.changes != h.changes {
		return nil, false
	}
	return n.of[hash], true
}

// keep keeps the info hashes under a name.
func (h *infoHashes) keep(name string, of map[webtorrent.ID]*Presentation) {
	if h.byName == nil || len(h.byName) >= maxInfoHashNames {
		h.byName = map[string]*namedHashes{}
	}
	h.byName[name] = &namedHashes{of, h.changes}
}

// hashesOf makes the info hashes of presentations under a name of their host. The catalog's lock
// is held.
func hashesOf(all []*Presentation, host, name string) map[webtorrent.ID]*Presentation {
	out := map[webtorrent.ID]*Presentation{}
	for _, p := range all {
		if p.Host != host {
			continue
		}
		for n, s := range p.playlists {
			streams := s.streams
			if len(streams) == 0 {
				streams = []string{webtorrent.SingleStream}
			}
			for _, stream := range streams {
				for _, scheme := range [...]string{"https://", "http://"} {
					out[webtorrent.InfoHash(scheme+name+n.Path, stream)] = p
				}
			}
		}
	}
	return out
}
