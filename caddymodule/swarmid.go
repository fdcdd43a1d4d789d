package caddymodule

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// swarmEpoch is how long a presentation keeps its swarm id. A session opened
// with the id before stays where it is.
const swarmEpoch = 7 * 24 * time.Hour

// swarmOf gives the swarm id of p: the first 16 bytes, in base64url, of
// HMAC-SHA256 over the epoch and the presentation. It cannot be guessed from a
// URL, and it is the same at each edge with the same secret.
func (c *catalog) swarmOf(p *presentation, now time.Time) string {
	epoch := now.Unix() / int64(swarmEpoch/time.Second)
	c.mu.RLock()
	if n := len(p.swarms); n > 0 && p.epoch == epoch {
		defer c.mu.RUnlock()
		return p.swarms[n-1]
	}
	c.mu.RUnlock()
	mac := hmac.New(sha256.New, c.secret)
	_ = binary.Write(mac, binary.BigEndian, epoch)
	mac.Write([]byte(p.key()))
	id := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.epoch == epoch && len(p.swarms) > 0 {
		return id
	}
	p.epoch = epoch
	p.swarms = append(p.swarms, id)
	if len(p.swarms) > 2 {
		delete(c.swarms, p.swarms[0])
		p.swarms = p.swarms[1:]
	}
	c.swarms[id] = p
	return id
}

// bySwarm gives the presentation of a swarm id that this edge gave out, or nil.
func (c *catalog) bySwarm(id string) *presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.swarms[id]
}
