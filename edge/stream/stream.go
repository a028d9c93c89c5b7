package stream

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Stream is one H.264 stream of a [Server], at a path of its own. It lives as long as there
// is something to show there, whatever makes the pictures: players stay connected while an
// encoder ends and another begins at the same size. Its methods are safe for concurrent use.
type Stream struct {
	server *Server
	path   string

	writing sync.Mutex // serialises Write and SetFormat; taken before the server's mu
	clock   rtpClock

	// Guarded by the server's mu.
	track     *track        // nil before the first SetFormat
	ready     chan struct{} // closed once track can be played
	closed    bool
	pastBytes uint64 // sent by earlier tracks

	viewers   atomic.Int32
	keyFirst  atomic.Bool // the first player has just joined and has nothing to build on
	keyWanted atomic.Bool
}

// Open offers a stream at a path; empty means [DefaultPath]. Until its first SetFormat,
// players wait. It fails when the path is taken.
func (s *Server) Open(path string) (*Stream, error) {
	if path == "" {
		path = DefaultPath
	}
	st := &Stream{server: s, path: "/" + strings.Trim(path, "/"), clock: newRTPClock(), ready: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[st.path] != nil {
		return nil, fmt.Errorf("rtsp: open a stream at %s: another one is there; give each camera its own path", st.path)
	}
	s.streams[st.path] = st
	return st, nil
}

// Close ends the stream's sessions and frees its path. It is idempotent.
func (st *Stream) Close() {
	s := st.server
	st.writing.Lock()
	s.mu.Lock()
	old := st.end()
	if s.streams[st.path] == st {
		delete(s.streams, st.path)
	}
	s.mu.Unlock()
	st.writing.Unlock()
	if old != nil {
		old.close()
	}
}

// end takes the track out, which the caller closes without locks. Both locks are held.
func (st *Stream) end() *track {
	if st.closed {
		return nil
	}
	st.closed = true
	old := st.track
	st.track = nil
	if old != nil {
		st.pastBytes += old.bytesSent()
	}
	select {
	case <-st.ready:
	default:
		close(st.ready) // whoever waits is told that there is none
	}
	return old
}

// attach makes a stream whose format is known playable. The server's mu is held.
func (st *Stream) attach() error {
	if st.track == nil || st.track.stream != nil {
		return nil
	}
	if err := st.track.open(st.server.rtsp); err != nil {
		return err
	}
	close(st.ready)
	return nil
}

// SetFormat says what Write will deliver: the parameter sets, without start codes, and
// the picture size that they stand for. It must be called before the first Write and
// again whenever they change; while they do not, it costs nothing. The slices are copied.
// While the size stays, sessions go on; a new size ends them, so that players reconnect
// and learn it.
func (st *Stream) SetFormat(sps, pps []byte, width, height int) error {
	s := st.server
	st.writing.Lock()
	defer st.writing.Unlock()
	s.mu.Lock()
	old := st.track
	s.mu.Unlock()
	if old != nil && old.has(sps, pps, width, height) {
		return nil // so with every key frame
	}
	next, err := newTrack(sps, pps, width, height)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if st.closed {
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
			close(st.ready)
		}
	}
	if old != nil {
		st.pastBytes += old.bytesSent()
	}
	st.track = next
	s.mu.Unlock()
	if old != nil {
		s.log.Info().Str("path", st.path).Int("width", width).Int("height", height).
			Msg("rtsp: picture size changed, players must reconnect")
		old.close()
	}
	return nil
}

// Write sends one access unit, captured at the given time, to every player. It never
// waits for a client: one whose queue is full is disconnected. While nobody plays it does
// nothing, and the first player's pictures begin with a key frame. The RTP timestamp follows
// captured's monotonic reading at 90 kHz and never runs backwards; sender reports carry its
// wall-clock reading.
func (st *Stream) Write(au AccessUnit, captured time.Time) error {
	st.writing.Lock()
	defer st.writing.Unlock()
	timestamp := st.clock.at(captured)
	if st.Viewers() == 0 || len(au.NALUs) == 0 {
		return nil
	}
	if st.keyFirst.Load() {
		if !au.Key {
			return nil // encoded before the player joined
		}
		st.keyFirst.Store(false)
	}
	st.server.mu.Lock()
	current := st.track
	st.server.mu.Unlock()
	if current == nil {
		return nil
	}
	return current.write(au.NALUs, timestamp, captured)
}

// Viewers counts the sessions that play.
func (st *Stream) Viewers() int { return int(st.viewers.Load()) }

// TakeKeyRequest reports, once, whether a player has begun to play since the last call.
// The encode loop then makes the next picture a key frame, so that the player need not
// wait for the regular one.
func (st *Stream) TakeKeyRequest() bool { return st.keyWanted.Swap(false) }

// BytesSent counts the RTP and RTCP bytes handed to sessions since the stream was opened.
func (st *Stream) BytesSent() uint64 {
	st.server.mu.Lock()
	defer st.server.mu.Unlock()
	if st.track == nil {
		return st.pastBytes
	}
	return st.pastBytes + st.track.bytesSent()
}

// URL returns the stream's address with the host that the server listens on. A server on
// all interfaces has the unspecified one, 0.0.0.0 or [::], for which the caller must put a
// name that its client knows; [Stream.LocalURL] does so for this machine.
func (st *Stream) URL() string { return st.server.url() + st.path }

// LocalURL returns an address that a player on this machine can open.
func (st *Stream) LocalURL() string { return st.server.localURL() + st.path }
