package insight

// Counter names one of Counters.
type Counter uint8

// The counters. All but MaxViewers are sums.
const (
	PeerBytes    Counter = iota // of segments taken from peers
	OriginBytes                 // of segments taken from the origin, as peers report
	RelayedBytes                // part of PeerBytes
	WastedBytes                 // of chunks that came twice
	UploadedBytes
	EgressBytes // of segment bodies that the edge sent; of whole presentations only
	Opened      // sessions
	ViewerMS    // the sum of the times that sessions were open
	MaxViewers  // sessions at once, at most
	Startups    // sessions that began to play
	StartupMS   // the sum of their times to the first frame
	PlayedMS
	Stalls
	StallMS
	BufferMS // the sum of the buffers of Reports
	Reports
	Switches // of rendition
	Errors   // that players report
	BadChunks
	counters
)

// Counters are the figures of a cell over a time.
type Counters [counters]int64

// add adds what another time, or another cell, has counted.
func (c *Counters) add(o *Counters) {
	for i := range c {
		if Counter(i) != MaxViewers {
			c[i] += o[i]
		}
	}
}

// grow adds what a later time has counted: maxima are those of either.
func (c *Counters) grow(o *Counters) {
	c.add(o)
	c[MaxViewers] = max(c[MaxViewers], o[MaxViewers])
}

// beside adds what another cell has counted in the same time: its viewers come on top.
func (c *Counters) beside(o *Counters) {
	c.add(o)
	c[MaxViewers] += o[MaxViewers]
}

func (c *Counters) idle() bool { return *c == Counters{} }
