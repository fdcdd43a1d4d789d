package player

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/origin"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

const (
	maxPlaylist = 16 << 20
	loadWait    = 15 * time.Second
	// retryEvery is the pause after a playlist that had nothing new, or none.
	retryEvery = 300 * time.Millisecond
)

// errSkipped: a delta update leaves out what the version before did not have.
var errSkipped = errors.New("the playlist leaves out segments that were not seen before")

// load gets and reads a playlist, whose version before is known, or nil.
func (p *Player) load(ctx context.Context, u *url.URL, before *manifest.Playlist) (*manifest.Playlist, error) {
	ctx, cancel := context.WithTimeout(ctx, loadWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("load the playlist: %w", err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("load the playlist: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPlaylist))
	switch {
	case err != nil:
		return nil, fmt.Errorf("load the playlist %s: %w", u.Path, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("load the playlist %s: %w", u.Path, &origin.StatusError{Status: resp.StatusCode})
	}
	pl, err := manifest.ReadHLS(text, manifest.Source{URL: resp.Request.URL, Imports: p.variables, Before: before}) // after redirects
	if err != nil {
		return nil, fmt.Errorf("read the playlist %s: %w", u.Path, err)
	}
	if pl.Skipped > 0 {
		return nil, errSkipped
	}
	if b, ok := edge.ParseBootstrap(resp.Header, resp.Request.URL); ok {
		p.viewer.Bootstrap(b)
	}
	return pl, nil
}

// choose loads the playlist at the start and gives the media playlists to play:
// the rendition, and its audio where that is apart.
func (p *Player) choose(ctx context.Context) ([]*track, error) {
	pl, err := p.load(ctx, p.cfg.URL, nil)
	if err != nil {
		return nil, err
	}
	if !pl.Multivariant {
		return []*track{{url: p.cfg.URL}}, nil
	}
	if p.cfg.Rendition < 0 || p.cfg.Rendition >= len(pl.Variants) {
		return nil, fmt.Errorf("there is no rendition %d: the playlist lists 0 to %d", p.cfg.Rendition, len(pl.Variants)-1)
	}
	p.variables = pl.Variables
	variant := pl.Variants[p.cfg.Rendition]
	tracks := []*track{{url: variant.URL}}
	if variant.Audio != "" {
		of := slices.DeleteFunc(slices.Clone(pl.Renditions), func(r manifest.Rendition) bool {
			return r.Type != "AUDIO" || r.Group != variant.Audio || r.URL == nil
		})
		if i := slices.IndexFunc(of, func(r manifest.Rendition) bool { return r.Default }); i > 0 {
			of[0] = of[i]
		}
		if len(of) > 0 && of[0].URL.String() != variant.URL.String() {
			tracks = append(tracks, &track{url: of[0].URL})
		}
	}
	return tracks, nil
}

// poll loads the playlist of a track again and again until it has ended: soon
// after something is expected to be new, or, where the server can wait, by asking
// for that at once. Failures are tried again.
func (p *Player) poll(ctx context.Context, t *track) {
	var last *manifest.Playlist
	var changed time.Time // when a change was last seen
	exact := false        // a change was seen between two loads that were close
	plain := false        // the next load asks for nothing in particular
	for {
		u, blocks := t.url, false
		if last != nil && !plain {
			delta := last.Low != nil && time.Since(changed) < last.Low.SkipUntil/2
			u, blocks = last.Update(t.url, delta)
		}
		pl, err := p.load(ctx, u, last)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		wait := retryEvery
		plain = err != nil
		switch {
		case errors.Is(err, errSkipped):
			wait = 0
		case err != nil:
			p.troubled(err)
			wait = 2 * retryEvery
		case last != nil && newest(pl) == newest(last) && pl.Ended == last.Ended:
			exact = true // the next change is seen as it comes
		default:
			p.fine()
			p.update(ctx, t, pl)
			if blocks || (pl.Low != nil && pl.Low.BlockReload) {
				wait = 0 // the next request waits there
			} else if exact && len(pl.Segments) > 0 {
				next := min(pl.Segments[len(pl.Segments)-1].Duration, pl.Target)
				if pl.Low != nil && p.parts(pl) {
					next = pl.Low.PartTarget
				}
				wait = time.Until(now.Add(next))
			}
			last, changed = pl, now
		}
		if last != nil && last.Ended {
			return
		}
		timer := time.NewTimer(max(wait, 20*time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// newest is how far a playlist goes: its segments, and the parts behind them.
func newest(pl *manifest.Playlist) [2]int64 {
	end := [2]int64{pl.Sequence + int64(len(pl.Segments))}
	if pl.Low != nil {
		end[1] = int64(len(pl.Low.Tail))
	}
	return end
}
