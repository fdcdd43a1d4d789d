package rtc

import (
	"errors"
	"fmt"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

const (
	// bufferHigh is how much may lie in a channel's buffer before the worker waits,
	// bufferLow when it goes on. With 0, pion's default, the path runs dry.
	bufferHigh = 1 << 20
	bufferLow  = 512 << 10
	// maxRecords is the number of DTLS records after which a connection is given
	// up: pion's DTLS 2 draws nonces at random, and is to stay well below 2^20.
	maxRecords = 900_000
	// recordBytes is what one record carries, about.
	recordBytes = 1150
)

// watch has the worker told when the channel opens.
func (c *Conn) watch(dc *webrtc.DataChannel) {
	dc.SetBufferedAmountLowThreshold(bufferLow)
	dc.OnBufferedAmountLow(func() { // pion holds locks meanwhile
		select {
		case c.low <- struct{}{}:
		default:
		}
	})
	dc.OnOpen(func() {
		channel, err := dc.Detach()
		if err != nil {
			c.fail(fmt.Errorf("open the data channel: %w", err))
			return
		}
		c.push(job{do: func() error { return c.opened(dc, channel) }})
	})
}

func (c *Conn) opened(dc *webrtc.DataChannel, channel datachannel.ReadWriteCloser) error {
	if c.channel != nil {
		return fmt.Errorf("%w: a second data channel", ErrProtocol)
	}
	c.dc, c.channel = dc, channel
	c.net.opened(1)
	c.way = c.path()
	c.net.luck.note(c.way)
	path := c.way
	c.say(func() { c.events.Open(path) })
	c.net.conns.Add(1)
	go c.read(channel)
	return nil
}

// read gives the messages that come, until the channel ends.
func (c *Conn) read(channel datachannel.ReadWriteCloser) {
	defer c.net.conns.Done()
	var chunks wire.Assembler
	buf := make([]byte, wire.MaxMessage+1)
	for {
		n, err := channel.Read(buf)
		if err != nil {
			c.fail(fmt.Errorf("%w: %w", ErrFailed, err))
			return
		}
		m, err := wire.Decode(buf[:n])
		if err != nil {
			c.fail(fmt.Errorf("%w: %w", ErrProtocol, err))
			return
		}
		if m.Type == wire.Chunk {
			whole, ok, err := chunks.Add(m)
			if err != nil {
				c.fail(fmt.Errorf("%w: %w", ErrProtocol, err))
				return
			}
			if !ok {
				continue
			}
			m = whole
		}
		c.say(func() { c.events.Message(&m) })
	}
}

// work does what is queued until the connection is over.
func (c *Conn) work() {
	defer c.net.conns.Done()
	timer := c.expire()
	defer timer.Stop()
	for {
		if c.channel != nil {
			timer.Stop()
		}
		c.confirm()
		j, ok, over := c.next()
		if over || (!ok && !c.pause()) {
			break
		}
		if !ok {
			continue
		}
		if err := c.run(j); err != nil {
			c.fail(err)
			break
		}
	}
	c.end()
}

// next takes the next job, a step first; over says that there will be none. A message
// waits until the channel is open and its buffer is not full.
func (c *Conn) next() (j job, ok, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over || (c.closing && (c.channel == nil || len(c.queue) == 0)):
		return job{}, false, true
	case len(c.steps) > 0:
		j = c.steps[0]
		c.steps = c.steps[1:]
		return j, true, false
	case len(c.queue) == 0 || c.channel == nil || c.dc.BufferedAmount() > bufferHigh:
		return job{}, false, false
	}
	j = c.queue[0]
	c.queue[0] = job{}
	c.queue = c.queue[1:]
	return j, true, false
}

// pause waits for something to do; false means that the connection is over.
func (c *Conn) pause() bool {
	select {
	case <-c.wake:
	case <-c.low:
	case <-c.ctx.Done():
		return false
	}
	return true
}

func (c *Conn) run(j job) error {
	switch {
	case j.do != nil:
		return j.do()
	case j.frame != nil:
		return c.write(j.frame)
	}
	err := wire.Fragments(j.chunk.segment, j.chunk.index, j.chunk.data, j.chunk.signature, c.write)
	if err == nil && j.chunk.sent != nil {
		c.unsent = append(c.unsent, unsent{c.written, j.chunk.sent})
	}
	return err
}

func (c *Conn) write(frame []byte) error {
	n, err := c.channel.Write(frame)
	if err != nil {
		return fmt.Errorf("send to the neighbor: %w", err)
	}
	c.written += uint64(n)
	c.records += uint64(n)/recordBytes + 1
	if c.records > maxRecords {
		return ErrWornOut
	}
	return nil
}

// confirm says which chunks have left, and sets the threshold so that the
// channel tells when the buffer falls through the next mark: the one at which the
// oldest chunk counts as sent, or bufferLow, whichever is higher.
func (c *Conn) confirm() {
	if c.channel == nil {
		return
	}
	for len(c.unsent) > 0 {
		behind := c.written - c.unsent[0].end // queued after it
		done := behind + c.net.slack()
		if c.above(max(done, bufferLow)) || c.above(done) {
			return
		}
		sent := c.unsent[0].sent
		c.unsent = c.unsent[1:]
		c.say(sent)
	}
	c.dc.SetBufferedAmountLowThreshold(bufferLow)
}

// above says whether the channel's buffer holds more than mark. If so, low comes
// once it does not: it looks after the threshold is set, so no crossing is missed.
func (c *Conn) above(mark uint64) bool {
	c.dc.SetBufferedAmountLowThreshold(mark)
	return c.dc.BufferedAmount() > mark
}

// end sends what the channel still holds if our side closes, then closes all.
func (c *Conn) end() {
	if c.channel != nil {
		c.dc.SetBufferedAmountLowThreshold(0)
		for c.ctx.Err() == nil && c.dc.BufferedAmount() > 0 {
			c.pause()
		}
		c.net.opened(-1)
	}
	c.cancel()
	c.mu.Lock()
	if c.flush != nil {
		c.flush.Stop()
	}
	c.mu.Unlock()
	if c.pc != nil {
		if err := c.pc.GracefulClose(); err != nil && !errors.Is(err, webrtc.ErrConnectionClosed) {
			c.fail(err)
		}
	}
}
