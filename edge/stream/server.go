package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	// Path is the stream's path in the URL; empty means DefaultPath.
	Path string
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

// Server offers one H.264 stream over RTSP 1.0 (RFC 2326) to any number of players, over
// TCP and UDP. Its methods are safe for concurrent use, except that Listen and Run are
// called once each, in this order.
type Server struct {
	options ServerOptions
	path    string
	log     zerolog.Logger

	tcp       net.Listener
	rtp, rtcp net.PacketConn

	writing sync.Mutex // serialises Write and SetFormat; taken before mu
	clock   rtpClock

	mu        sync.Mutex
	rtsp      *gortsplib.Server // nil unless Run runs
	track     *track            // nil before the first SetFormat
	ready     chan struct{}     // closed once track can be played
	stopped   chan struct{}     // closed when Run ends
	conns     map[*gortsplib.ServerConn]struct{}
	sessions  map[*gortsplib.ServerSession]*viewer
	pastBytes uint64 // sent by earlier tracks
	viewers   atomic.Int32
	keyFirst  atomic.Bool // the first player has just joined and has nothing to build on
	keyWanted atomic.Bool
}

// NewServer makes a server. It opens nothing.
func NewServer(o ServerOptions) *Server {
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.QueuePackets == 0 {
		o.QueuePackets = DefaultQueuePackets
	}
	if o.FormatWait == 0 {
		o.FormatWait = DefaultFormatWait
	}
	return &Server{
		options:  o,
		path:     "/" + strings.Trim(o.Path, "/"),
		log:      o.Log,
		clock:    newRTPClock(),
		ready:    make(chan struct{}),
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

// attach makes the running server known and, where the format already is, playable.
func (s *Server) attach(server *gortsplib.Server) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rtsp = server
	if s.track == nil {
		return nil
	}
	if err := s.track.open(server); err != nil {
		return err
	}
	close(s.ready)
	return nil
}

// stop ends waiting requests, the track and every connection. Closing the sockets
// themselves frees goroutines that are stuck in a write to a client that does not read.
func (s *Server) stop() {
	s.writing.Lock()
	s.mu.Lock()
	close(s.stopped)
	old := s.track
	s.track, s.rtsp = nil, nil
	if old != nil {
		s.pastBytes += old.bytesSent()
	}
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	s.writing.Unlock()
	if old != nil {
		old.close()
	}
	for _, c := range conns {
		c.NetConn().Close()
	}
}

// SetFormat says what Write will deliver: the parameter sets, without start codes, and
// the picture size that they stand for. It must be called before the first Write and
// again whenever they change; while they do not, it costs nothing. The slices are copied.
// While the size stays, sessions go on; a new size ends them, so that players reconnect
// and learn it.
func (s *Server) SetFormat(sps, pps []byte, width, height int) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	old := s.track
	s.mu.Unlock()
	if old != nil && old.has(sps, pps, width, height) {
		return nil // so with every key frame
	}
	next, err := newTrack(sps, pps, width, height)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.isStopped() {
		s.mu.Unlock()
		return nil
	}
	if old != nil && old.width == width && old.height == height {
		old.format.SafeSetParams(next.format.SPS, next.format.PPS)
		s.mu.Unlock()
		return nil
	}
	if s.rtsp != nil {
		if err := next.open(s.rtsp); err != nil {
			s.mu.Unlock()
			return err
		}
		if old == nil {
			close(s.ready)
		}
	}
	if old != nil {
		s.pastBytes += old.bytesSent()
	}
	s.track = next
	s.mu.Unlock()
	if old != nil {
		s.log.Info().Int("width", width).Int("height", height).Msg("rtsp: picture size changed, players must reconnect")
		old.close()
	}
	return nil
}

// Write sends one access unit, captured at the given time, to every player. It never
// waits for a client: one whose queue is full is disconnected. While nobody plays it does
// nothing, and the first player's pictures begin with a key frame. The RTP timestamp follows captured's monotonic reading at 90 kHz and never
// runs backwards; sender reports carry its wall-clock reading.
func (s *Server) Write(au AccessUnit, captured time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	timestamp := s.clock.at(captured)
	if s.Viewers() == 0 || len(au.NALUs) == 0 {
		return nil
	}
	if s.keyFirst.Load() {
		if !au.Key {
			return nil // encoded before the player joined
		}
		s.keyFirst.Store(false)
	}
	s.mu.Lock()
	current := s.track
	s.mu.Unlock()
	if current == nil {
		return nil
	}
	return current.write(au.NALUs, timestamp, captured)
}

// Viewers counts the sessions that play.
func (s *Server) Viewers() int { return int(s.viewers.Load()) }

// TakeKeyRequest reports, once, whether a player has begun to play since the last call.
// The encode loop then makes the next picture a key frame, so that the player need not
// wait for the regular one.
func (s *Server) TakeKeyRequest() bool { return s.keyWanted.Swap(false) }

// BytesSent counts the RTP and RTCP bytes handed to sessions since the start.
func (s *Server) BytesSent() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.track == nil {
		return s.pastBytes
	}
	return s.pastBytes + s.track.bytesSent()
}

func (s *Server) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}
