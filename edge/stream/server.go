package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/rs/zerolog"
)

// Defaults of [ServerOptions].
const (
	DefaultPath         = "/overlay"
	DefaultQueuePackets = 2048
	DefaultFormatWait   = 5 * time.Second
)

const (
	// maxConnections bounds what strangers can make the server hold.
	maxConnections = 128
	// firstByteTimeout is how long a new connection may stay silent.
	firstByteTimeout = 10 * time.Second
	// writeTimeout is how long one write to a client's socket may block its own queue.
	writeTimeout = 5 * time.Second
)

// ServerOptions configure a [Server].
type ServerOptions struct {
	// Address is the TCP address to listen on, "host:port". A host of 127.0.0.1 keeps
	// the stream on this machine; an empty one offers it to the whole network.
	Address string
	// RTPPort is the even UDP port for RTP on Address's host; RTCP takes the next one.
	// At 0 the server offers the TCP transport only.
	RTPPort int
	// QueuePackets bounds how many RTP packets of up to 1412 bytes wait for one client;
	// a power of two, 0 means DefaultQueuePackets. A client that falls further behind is
	// disconnected. It must hold the largest key frame, which with x264 is 2 s of stream.
	QueuePackets int
	// FormatWait is how long a DESCRIBE waits for the first SetFormat before it is
	// answered 503; 0 means DefaultFormatWait.
	FormatWait time.Duration
	// Log receives one line per session at info level and connections at debug level.
	Log zerolog.Logger
}

// Server offers H.264 streams over RTSP 1.0 (RFC 2326) to any number of players, over TCP
// and UDP. [Server.Open] adds a stream. Its methods are safe for concurrent use, except that
// Listen and Run are called once each, in this order.
type Server struct {
	options ServerOptions
	log     zerolog.Logger

	tcp       net.Listener
	rtp, rtcp net.PacketConn

	stopped chan struct{} // closed when Run ends

	mu       sync.Mutex
	rtsp     *gortsplib.Server  // nil unless Run runs
	streams  map[string]*Stream // by path
	conns    map[*gortsplib.ServerConn]struct{}
	sessions map[*gortsplib.ServerSession]*viewer
}

// NewServer makes a server. It opens nothing.
func NewServer(o ServerOptions) *Server {
	if o.QueuePackets == 0 {
		o.QueuePackets = DefaultQueuePackets
	}
	if o.FormatWait == 0 {
		o.FormatWait = DefaultFormatWait
	}
	return &Server{
		options:  o,
		log:      o.Log,
		streams:  map[string]*Stream{},
		stopped:  make(chan struct{}),
		conns:    map[*gortsplib.ServerConn]struct{}{},
		sessions: map[*gortsplib.ServerSession]*viewer{},
	}
}

// Listen binds the server's ports, so that an address in use is known before the program
// says that it runs. Players that connect now wait until Run. After success the caller
// must call Run or Close, either of which releases the ports.
func (s *Server) Listen() error {
	if o := s.options; o.QueuePackets < 0 || o.QueuePackets&(o.QueuePackets-1) != 0 {
		return fmt.Errorf("rtsp: queue of %d packets: must be a power of two", o.QueuePackets)
	}
	return s.bind()
}

// Run serves until ctx ends, then disconnects every client and returns nil. All its
// goroutines are gone when it returns. It returns an error only when it could not serve.
func (s *Server) Run(ctx context.Context) error {
	if s.tcp == nil {
		return errors.New("rtsp: Run without a successful Listen")
	}
	defer s.Close() // what Run tells matters more
	if ctx.Err() != nil {
		s.stop()
		return nil
	}
	server := s.newRTSP()
	if err := server.Start(); err != nil {
		s.stop()
		return fmt.Errorf("rtsp: start on %s: %w", s.Addr(), err)
	}
	if err := s.attach(server); err != nil {
		s.stop()
		server.Close()
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Wait() }()
	select {
	case <-ctx.Done():
		s.stop()
		server.Close()
		<-failed
		return nil
	case err := <-failed:
		s.stop()
		return fmt.Errorf("rtsp: serve on %s: %w", s.Addr(), err)
	}
}

// newRTSP describes the library's server on the ports that Listen bound.
func (s *Server) newRTSP() *gortsplib.Server {
	server := &gortsplib.Server{
		Handler:        (*handler)(s),
		RTSPAddress:    s.tcp.Addr().String(),
		WriteQueueSize: s.options.QueuePackets,
		WriteTimeout:   writeTimeout,
		Listen: func(string, string) (net.Listener, error) {
			return &patientListener{Listener: s.tcp, stopped: s.stopped}, nil
		},
	}
	if s.rtp != nil {
		server.UDPRTPAddress = s.rtp.LocalAddr().String()
		server.UDPRTCPAddress = s.rtcp.LocalAddr().String()
		server.ListenPacket = func(_, address string) (net.PacketConn, error) {
			if address == server.UDPRTPAddress {
				return s.rtp, nil
			}
			return s.rtcp, nil
		}
	}
	return server
}

// attach makes the running server known and the streams whose format is known playable.
func (s *Server) attach(server *gortsplib.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rtsp = server
	for _, st := range s.streams {
		if err := st.attach(); err != nil {
			return err
		}
	}
	return nil
}

// stop ends waiting requests, the streams and every connection. Closing the sockets
// themselves frees goroutines that are stuck in a write to a client that does not read.
func (s *Server) stop() {
	s.mu.Lock()
	close(s.stopped)
	s.rtsp = nil
	streams := slices.Collect(maps.Values(s.streams))
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, st := range streams {
		st.Close()
	}
	for _, c := range conns {
		c.NetConn().Close()
	}
}

func (s *Server) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}
