package player

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/hls"
	"github.com/viewmesh/viewmesh/examples/peer/origin"
)

const (
	maxPlaylist = 16 << 20
	loadWait    = 15 * time.Second
	// retryEvery is the pause after a playlist that had nothing new, or none.
	retryEvery = 300 * time.Millisecond
)

// load gets and reads a playlist.
func (p *Player) load(ctx context.Context, u *url.URL) (*hls.Playlist, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, loadWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("load the playlist: %w", err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("load the playlist: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPlaylist))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("load the playlist %s: %w", u.Path, err)
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("load the playlist %s: %w", u.Path, &origin.StatusError{Status: resp.StatusCode})
	}
	pl, err := hls.Parse(text, resp.Request.URL) // after redirects
	if err != nil {
		return nil, nil, fmt.Errorf("read the playlist %s: %w", u.Path, err)
	}
	if b, ok := edge.ParseBootstrap(resp.Header, resp.Request.URL); ok {
		p.viewer.Bootstrap(b)
	}
	return pl, resp.Header, nil
}

// choose loads the playlist at the start and gives the media playlists to play:
// the rendition, and its audio where that is apart.
func (p *Player) choose(ctx context.Context) ([]*track, error) {
	pl, _, err := p.load(ctx, p.cfg.URL)
	if err != nil {
		return nil, err
	}
	if !pl.Multivariant() {
		return []*track{{url: p.cfg.URL}}, nil
	}
	if p.cfg.Rendition < 0 || p.cfg.Rendition >= len(pl.Variants) {
		return nil, fmt.Errorf("there is no rendition %d: the playlist lists 0 to %d", p.cfg.Rendition, len(pl.Variants)-1)
	}
	variant := pl.Variants[p.cfg.Rendition]
	tracks := []*track{{url: variant.URL}}
	if variant.Audio != "" {
		of := slices.DeleteFunc(slices.Clone(pl.Renditions), func(r hls.Rendition) bool {
			return r.Type != "AUDIO" || r.Group != variant.Audio || r.URL == nil
		})
		if i := slices.IndexFunc(of, func(r hls.Rendition) bool { return r.Default }); i > 0 {
			of[0] = of[i]
		}
		if len(of) > 0 && of[0].URL.String() != variant.URL.String() {
			tracks = append(tracks, &track{url: of[0].URL})
		}
	}
	return tracks, nil
}

// poll loads the playlist of a track again and again, soon after a segment is
// expected to be new, until it has ended. Failures are tried again.
func (p *Player) poll(ctx context.Context, t *track) {
	var last *hls.Playlist
	var changed time.Time // when a change was last seen
	exact := false        // a change was seen between two loads that were close
	for {
		pl, _, err := p.load(ctx, t.url)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		wait := retryEvery
		switch {
		case err != nil:
			p.troubled(err)
			wait = 2 * retryEvery
		case last != nil && newest(pl) == newest(last) && pl.Ended == last.Ended:
			exact = true // the next change is seen as it comes
		default:
			p.fine()
			p.update(ctx, t, pl)
			last, changed = pl, now
			if exact && len(pl.Segments) > 0 {
				next := min(pl.Segments[len(pl.Segments)-1].Duration, pl.Target)
				wait = time.Until(changed.Add(next))
			}
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

func newest(pl *hls.Playlist) int64 { return pl.Sequence + int64(len(pl.Segments)) }
