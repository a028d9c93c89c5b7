package stream

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// bind opens the TCP port and, where UDP is wanted, the two UDP ports on the same host.
func (s *Server) bind() error {
	o := s.options
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return fmt.Errorf("rtsp: address %q: %w; write it as host:port, for example 127.0.0.1:8554", o.Address, err)
	}
	if o.RTPPort != 0 && (o.RTPPort%2 != 0 || o.RTPPort < 2 || o.RTPPort > 65534) {
		return fmt.Errorf("rtsp: RTP port %d: must be even and at most 65534 (RTCP takes the next one), or 0 for TCP only", o.RTPPort)
	}
	if s.tcp, err = net.Listen(network("tcp", host), o.Address); err != nil {
		return fmt.Errorf("rtsp: listen on %s: %w; choose another with --rtsp", o.Address, cause(err))
	}
	if o.RTPPort == 0 {
		return nil
	}
	for i, conn := range []*net.PacketConn{&s.rtp, &s.rtcp} {
		address := net.JoinHostPort(host, strconv.Itoa(o.RTPPort+i))
		if *conn, err = net.ListenPacket(network("udp", host), address); err != nil {
			s.release()
			return fmt.Errorf("rtsp: listen on UDP %s: %w; choose another even port with --rtp-port, or 0 there for RTSP over TCP only", address, cause(err))
		}
	}
	return nil
}

// release closes what bind opened. Closing twice does no harm.
func (s *Server) release() {
	if s.tcp != nil {
		s.tcp.Close()
	}
	for _, conn := range []net.PacketConn{s.rtp, s.rtcp} {
		if conn != nil {
			conn.Close()
		}
	}
}

// network keeps 0.0.0.0 to IPv4, which is what people mean by it.
func network(protocol, host string) string {
	if host == "0.0.0.0" {
		return protocol + "4"
	}
	return protocol
}

// cause strips "listen tcp 127.0.0.1:8554: bind:" from a bind error, which the caller
// has said in its own words.
func cause(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

// Addr returns the TCP address that Listen bound, with the real port where 0 was asked
// for; before Listen the one from the options.
func (s *Server) Addr() string {
	if s.tcp == nil {
		return s.options.Address
	}
	return s.tcp.Addr().String()
}

// URL returns an address that players can open. A server on all interfaces is named by
// this machine's first address on the network.
func (s *Server) URL() string {
	address := s.Addr()
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
			address = net.JoinHostPort(networkAddress(), port)
		}
	}
	return "rtsp://" + address + s.path
}

// networkAddress finds an address by which other machines reach this one.
func networkAddress() string {
	addresses, _ := net.InterfaceAddrs() // none known: loopback at least works here
	found := "127.0.0.1"
	for _, a := range addresses {
		prefix, ok := a.(*net.IPNet)
		if !ok || !prefix.IP.IsGlobalUnicast() {
			continue
		}
		if prefix.IP.To4() != nil {
			return prefix.IP.String()
		}
		found = prefix.IP.String()
	}
	return found
}

// patientListener outlives a shortage of file descriptors and connections that were
// reset before they were accepted. The RTSP library takes any Accept error for the end.
type patientListener struct {
	net.Listener
	stopped <-chan struct{}
}

// acceptRetry is the pause after a failed Accept.
const acceptRetry = 100 * time.Millisecond

// Accept waits for a connection. It fails only when the listener is closed.
func (l *patientListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		select {
		case <-l.stopped:
			return nil, err
		case <-time.After(acceptRetry):
		}
	}
}
