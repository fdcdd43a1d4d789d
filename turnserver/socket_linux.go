package turnserver

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canShare tells whether several sockets can share a port.
const canShare = true

// systemSocket is a packetSocket that reads with recvmmsg and writes with sendmsg,
// several datagrams at a time by UDP_SEGMENT (generic segmentation offload).
type systemSocket struct {
	io.Closer
	local net.Addr
	raw   syscall.RawConn
	fd    int
	inet6 bool        // the socket is AF_INET6, so IPv4 addresses are written mapped
	any   bool        // it is bound to no address: each datagram tells the one it was sent to
	noGSO atomic.Bool // UDP_SEGMENT has failed on this socket

	failures int // in a row, of receiving

	reading sync.Mutex // held while a reader of many sockets works on a batch
	closed  bool
	by      *reader
	work    func(*batch) bool
	failed  func()
}

func (s *systemSocket) LocalAddr() net.Addr { return s.local }

// Close closes the socket. Where a reader of many sockets reads it, that is done with it
// when Close returns.
func (s *systemSocket) Close() error {
	s.reading.Lock()
	by := s.by
	s.closed = true
	s.reading.Unlock()
	if by != nil {
		by.forget(s)
	}
	return s.Closer.Close()
}

func listenSystem(network, address string, shared bool) (packetSocket, error) {
	lc := net.ListenConfig{}
	if shared {
		lc.Control = reusePort
	}
	conn, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return ownSocket(conn.(*net.UDPConn))
}

// ownSocket takes a socket out of Go's poller.
func ownSocket(conn *net.UDPConn) (*systemSocket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
		return nil, cerr
	}
	if err == nil {
		err = unix.SetNonblock(fd, false) // every call says that it does not wait
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "udp")
	s := &systemSocket{Closer: file, local: conn.LocalAddr(), fd: fd}
	if s.raw, err = file.SyscallConn(); err != nil {
		_ = file.Close()
		return nil, err
	}
	s.setUp()
	return s, nil
}

// overSystem makes a packetSocket, to send by, of a socket that others read.
func overSystem(conn *net.UDPConn) (packetSocket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &systemSocket{Closer: conn, local: conn.LocalAddr(), raw: raw}
	return s, raw.Control(func(fd uintptr) {
		s.fd = int(fd)
		s.setUp()
	})
}

// reusePort lets other sockets of this user have the address of a socket, too.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// setUp asks for large buffers, as much of them as the system gives, and looks up the
// socket's family.
func (s *systemSocket) setUp() {
	fd := s.fd
	for _, opt := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt[0], socketBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt[1], socketBuffer)
		}
	}
	domain, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	s.inet6 = domain == unix.AF_INET6
	if addrPortOf(s.LocalAddr()).Addr().IsUnspecified() {
		if s.inet6 {
			s.any = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) == nil
		} else {
			s.any = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1) == nil
		}
	}
}

// infoSpace is the room for the control message that tells a datagram's local address.
var infoSpace = unix.CmsgSpace(unix.SizeofInet6Pktinfo)

// batchSys is what recvmmsg wants to know about a batch's buffers.
type batchSys struct {
	msgs  []unix.Mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6
	infos []byte // control messages, infoSpace each
}

func (b *batchSys) init(room []packet) {
	b.msgs = make([]unix.Mmsghdr, len(room))
	b.iovs = make([]unix.Iovec, len(room))
	b.names = make([]unix.RawSockaddrInet6, len(room))
	b.infos = make([]byte, len(room)*infoSpace)
	for i := range room {
		b.iovs[i].Base = &room[i].buf[headroom]
		b.iovs[i].SetLen(maxDatagram)
		h := &b.msgs[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Namelen = unix.SizeofSockaddrInet6
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Control = &b.infos[i*infoSpace]
		h.SetControllen(infoSpace)
	}
}

// recv reads what there is into b, without waiting. As neither this nor sendOne ever
// waits, they are raw system calls, of which Go's scheduler need not be told.
func (b *batch) recv(fd uintptr) (full bool, errno unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.sys.msgs[0])), uintptr(len(b.sys.msgs)),
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return false, errno
	}
	b.packets = b.room[:n]
	for i := range b.packets {
		p, m := &b.packets[i], &b.sys.msgs[i]
		p.size = int(m.Len)
		p.oversize = m.Hdr.Flags&unix.MSG_TRUNC != 0
		p.from = addrPortOfRaw(&b.sys.names[i])
		m.Hdr.Namelen = unix.SizeofSockaddrInet6
		p.to = netip.Addr{}
		if got := int(m.Hdr.Controllen); got > 0 {
			p.to = localOf(b.sys.infos[i*infoSpace : i*infoSpace+got])
		}
		m.Hdr.SetControllen(infoSpace)
	}
	return int(n) == len(b.room), 0
}

// localOf reads the local address from the control messages of a datagram: IP_PKTINFO
// (ip(7)) or IPV6_PKTINFO (RFC 3542, section 6).
func localOf(infos []byte) netip.Addr {
	for len(infos) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(infos)
		if err != nil {
			break
		}
		infos = rest
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data[:16])).Unmap()
		}
	}
	return netip.Addr{}
}

// sender is the room that a sendmsg call takes.
type sender struct {
	hdr   unix.Msghdr
	iovs  [maxRun]unix.Iovec
	name4 unix.RawSockaddrInet4
	name6 unix.RawSockaddrInet6
	cmsg  []byte
	errno unix.Errno
	try   func(fd uintptr)
}

var senders = sync.Pool{New: func() any {
	s := &sender{cmsg: make([]byte, unix.CmsgSpace(2)+infoSpace)}
	s.try = func(fd uintptr) {
		for {
			_, _, s.errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&s.hdr)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if s.errno != unix.EINTR {
				return
			}
		}
	}
	return s
}}

func (s *systemSocket) send(from netip.Addr, addr netip.AddrPort, msgs [][]byte) (int, error) {
	x := senders.Get().(*sender)
	defer senders.Put(x)
	x.address(addr, s.inet6)
	if !s.any {
		from = netip.Addr{}
	}
	if len(msgs) > 1 && len(msgs) <= maxRun && !s.noGSO.Load() {
		err := s.sendOne(x, from, msgs)
		if err == nil {
			return len(msgs), nil
		}
		switch err {
		case unix.EIO, unix.ENOPROTOOPT, unix.EOPNOTSUPP:
			s.noGSO.Store(true) // the kernel or the device cannot
		case unix.EINVAL, unix.EMSGSIZE:
			// Too large for the path in segments, though one by one they may be fragmented;
			// or a kernel that knows no segments.
			if len(msgs[0]) < 1200 {
				s.noGSO.Store(true)
			}
		default:
			return 0, err
		}
	}
	for i := range msgs {
		if err := s.sendOne(x, from, msgs[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(msgs), nil
}

// sendOne makes one sendmsg call: one datagram, or several by UDP_SEGMENT.
func (s *systemSocket) sendOne(x *sender, from netip.Addr, msgs [][]byte) error {
	for i, m := range msgs {
		x.iovs[i].Base = unsafe.SliceData(m)
		x.iovs[i].SetLen(len(m))
	}
	x.hdr.Iov = &x.iovs[0]
	x.hdr.SetIovlen(len(msgs))
	x.hdr.Control = nil
	n := 0
	if len(msgs) > 1 {
		binary.NativeEndian.PutUint16(x.control(&n, unix.SOL_UDP, unix.UDP_SEGMENT, 2), uint16(len(msgs[0])))
	}
	switch {
	case !from.IsValid():
	case s.inet6:
		info := x.control(&n, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		a := from.As16()
		copy(info, a[:])
		clear(info[16:]) // any interface
	default:
		info := x.control(&n, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := from.As4()
		clear(info)
		copy(info[4:8], a[:]) // ipi_spec_dst
	}
	x.hdr.SetControllen(n)
	// Control takes no lock, so that allocations can write to one socket at a time.
	// Where the socket is full, nobody waits: EAGAIN is the datagram's end.
	err := s.raw.Control(x.try)
	for i := range msgs {
		x.iovs[i].Base = nil
	}
	if err != nil {
		return err
	}
	if x.errno != 0 {
		return x.errno
	}
	return nil
}

// control adds a control message of the given size, of which it returns the data, to
// the first n bytes of x.cmsg.
func (x *sender) control(n *int, level, typ int32, size int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&x.cmsg[*n]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(size))
	data := x.cmsg[*n+unix.CmsgLen(0) : *n+unix.CmsgLen(size)]
	*n += unix.CmsgSpace(size)
	x.hdr.Control = &x.cmsg[0]
	return data
}

// address makes addr the destination.
func (x *sender) address(addr netip.AddrPort, inet6 bool) {
	if !inet6 {
		x.name4.Family = unix.AF_INET
		x.name4.Addr = addr.Addr().As4()
		putPort(&x.name4.Port, addr.Port())
		x.hdr.Name = (*byte)(unsafe.Pointer(&x.name4))
		x.hdr.Namelen = unix.SizeofSockaddrInet4
		return
	}
	x.name6.Family = unix.AF_INET6
	x.name6.Addr = addr.Addr().As16()
	x.name6.Scope_id = 0
	putPort(&x.name6.Port, addr.Port())
	x.hdr.Name = (*byte)(unsafe.Pointer(&x.name6))
	x.hdr.Namelen = unix.SizeofSockaddrInet6
}

// putPort writes a port in network byte order.
func putPort(field *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(field))[:], port)
}

func addrPortOfRaw(raw *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:])
	if raw.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), port)
}
