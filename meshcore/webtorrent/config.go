package webtorrent

import "time"

// Config is how a tracker works. The zero value of a field means its default.
type Config struct {
	// Seed makes the random draws repeatable.
	Seed uint64
	// Interval is how often clients are to announce; default a minute. Who announces
	// nothing for two of them leaves.
	Interval time.Duration
	// MaxTold is how many others one connection is introduced to by its own offers in an
	// hour, and how many by theirs; default 400.
	MaxTold int
	// MaxHashes is how many peers one connection may announce; default 64.
	MaxHashes int
	// Burst and Rate bound the messages of one connection: Burst at once, Rate a second over
	// time; defaults 1000 and 30.
	Burst, Rate float64
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = time.Minute
	}
	if c.MaxTold == 0 {
		c.MaxTold = 400
	}
	if c.MaxHashes == 0 {
		c.MaxHashes = 64
	}
	if c.Burst == 0 {
		c.Burst = 1000
	}
	if c.Rate == 0 {
		c.Rate = 30
	}
	return c
}
