package stream

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
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
			_ = s.Close() // the fault that is told comes first
			return fmt.Errorf("rtsp: listen on UDP %s: %w; choose another even port with --rtp-port, or 0 there for RTSP over TCP only", address, cause(err))
		}
	}
	return nil
}

// Close releases the ports after [Server.Listen] where Run will never be called. It is
// idempotent.
func (s *Server) Close() error {
	var errs []error
	if s.tcp != nil {
		errs = append(errs, s.tcp.Close())
	}
	for _, conn := range []net.PacketConn{s.rtp, s.rtcp} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, net.ErrClosed) })
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("rtsp: stop listening on %s: %w", s.Addr(), err)
	}
	return nil
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

// url is the address that the server listens on, without a path.
func (s *Server) url() string {
	address := s.Addr()
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		address = net.JoinHostPort(net.IPv6unspecified.String(), port)
	}
	return "rtsp://" + address
}

// localURL is an address at which programs on this machine reach the server.
func (s *Server) localURL() string {
	host, port, err := net.SplitHostPort(s.Addr())
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		return "rtsp://" + net.JoinHostPort("127.0.0.1", port)
	}
	return s.url()
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
