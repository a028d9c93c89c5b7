package stream

import (
	"net"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// handler is the Server as the RTSP library sees it. ANNOUNCE and RECORD have no methods
// here, which makes the library refuse them.
type handler Server

// viewer is one session.
type viewer struct {
	stream    *Stream
	accepted  bool // PLAY was accepted, its answer is not out yet
	playing   bool
	ended     bool // it did not keep up and is being disconnected
	client    net.Addr
	transport gortsplib.Protocol
}

// OnConnOpen limits the number of connections and the time to the first byte, both of
// which the library leaves open.
func (h *handler) OnConnOpen(c *gortsplib.ServerHandlerOnConnOpenCtx) {
	conn := c.Conn.NetConn()
	h.mu.Lock()
	refused := len(h.conns) >= maxConnections || (*Server)(h).isStopped()
	if !refused {
		h.conns[c.Conn] = struct{}{}
	}
	h.mu.Unlock()
	if refused {
		conn.Close()
		return
	}
	// The library sets its own deadlines from the first request on. A failure shows in
	// the read that follows.
	_ = conn.SetReadDeadline(time.Now().Add(firstByteTimeout))
	h.log.Debug().Stringer("client", conn.RemoteAddr()).Msg("rtsp: connection opened")
}

// OnConnClose also ends the connection's session: over UDP the library would go on
// sending to a player that is gone until the session times out.
func (h *handler) OnConnClose(c *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.mu.Lock()
	delete(h.conns, c.Conn)
	h.mu.Unlock()
	if session := c.Conn.Session(); session != nil {
		session.Close()
	}
	h.log.Debug().Stringer("client", c.Conn.NetConn().RemoteAddr()).AnErr("reason", c.Error).Msg("rtsp: connection closed")
}

// OnDescribe waits for the format, holding up this connection only.
func (h *handler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	st, status := h.admit(c.Conn, c.Path)
	if status != base.StatusOK {
		return &base.Response{StatusCode: status}, nil, nil
	}
	timeout := time.NewTimer(h.options.FormatWait)
	defer timeout.Stop()
	select {
	case <-st.ready:
	case <-h.stopped:
	case <-timeout.C:
	}
	return h.current(st)
}

// OnSetup adds the session to the current track.
func (h *handler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	st, status := h.admit(c.Conn, c.Path)
	if status != base.StatusOK {
		return &base.Response{StatusCode: status}, nil, nil
	}
	response, stream, err := h.current(st)
	if earlier := c.Session.Stream(); earlier != nil && earlier != stream {
		// The size changed between two SETUPs of one session; the library panics when
		// the second gets another stream.
		return &base.Response{StatusCode: base.StatusServiceUnavailable}, nil, nil
	}
	return response, stream, err
}

// admit decides whether a request may reach a stream, and which.
func (h *handler) admit(conn *gortsplib.ServerConn, path string) (*Stream, base.StatusCode) {
	st := h.at(path)
	switch {
	case st == nil:
		return nil, base.StatusNotFound
	case conn.Transport().Tunnel == gortsplib.TunnelWebSocket:
		// The library accepts WebSockets from any web page, so that a page which the
		// user visits could watch a stream meant for this machine only.
		return nil, base.StatusForbidden
	}
	return st, base.StatusOK
}

// at is the stream at a path, nil where there is none.
func (h *handler) at(path string) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[strings.TrimRight(path, "/")]
}

// current answers with the playable stream, or 503 where there is none.
func (h *handler) current(st *Stream) (*base.Response, *gortsplib.ServerStream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st.track == nil || st.track.stream == nil {
		return &base.Response{StatusCode: base.StatusServiceUnavailable}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, st.track.stream, nil
}

// OnPlay accepts a player. It may send PLAY again while it plays.
func (h *handler) OnPlay(c *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	h.mu.Lock()
	v := h.sessions[c.Session]
	if v == nil {
		st := h.playing(c.Session)
		if st == nil {
			h.mu.Unlock()
			return &base.Response{StatusCode: base.StatusNotFound}, nil
		}
		v = &viewer{stream: st, client: c.Conn.NetConn().RemoteAddr(), transport: c.Session.Transport().Protocol}
		h.sessions[c.Session] = v
	}
	v.accepted = !v.playing
	h.mu.Unlock()
	h.log.Info().Str("path", v.stream.path).Stringer("client", v.client).Stringer("transport", v.transport).Msg("rtsp: player started")
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse counts an accepted session in and asks for its key frame. OnPlay would be too
// early: the library begins to send to a session only after OnPlay returned, and a key frame
// encoded in between would be lost on the player, which then waited for the next regular one.
func (h *handler) OnResponse(conn *gortsplib.ServerConn, _ *base.Response) {
	session := conn.Session()
	if session == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.sessions[session]
	if v == nil || !v.accepted {
		return
	}
	v.accepted, v.playing = false, true
	v.stream.keyWanted.Store(true)
	if v.stream.viewers.Load() == 0 {
		v.stream.keyFirst.Store(true)
	}
	v.stream.viewers.Add(1)
}

// playing is the stream whose track a session was set up with, nil if it has ended since.
// The lock is held.
func (h *handler) playing(session *gortsplib.ServerSession) *Stream {
	for _, st := range h.streams {
		if st.track != nil && st.track.stream == session.Stream() {
			return st
		}
	}
	return nil
}

// OnPause counts the session out until the next PLAY.
func (h *handler) OnPause(c *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.sessions[c.Session]; v != nil {
		if v.playing {
			v.stream.viewers.Add(-1)
		}
		v.playing, v.accepted = false, false
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose counts the session out for good.
func (h *handler) OnSessionClose(c *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	v := h.sessions[c.Session]
	delete(h.sessions, c.Session)
	if v != nil && v.playing {
		v.stream.viewers.Add(-1)
	}
	h.mu.Unlock()
	if v != nil {
		h.log.Info().Str("path", v.stream.path).Stringer("client", v.client).Stringer("transport", v.transport).AnErr("reason", c.Error).Msg("rtsp: player left")
	}
}

// OnStreamWriteError ends a session that does not keep up. It runs inside Write and
// must not block.
func (h *handler) OnStreamWriteError(c *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	c.Session.Close()
	h.mu.Lock()
	v := h.sessions[c.Session]
	first := v != nil && !v.ended
	if first {
		v.ended = true
	}
	h.mu.Unlock()
	if !first {
		return // the session lingers for the rest of the access unit
	}
	h.log.Warn().Err(c.Error).Str("path", v.stream.path).Stringer("client", v.client).Stringer("transport", v.transport).Msg("rtsp: player does not keep up, disconnecting it")
}

// OnDecodeError hears of malformed packets from players, which are of no consequence.
func (h *handler) OnDecodeError(c *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.log.Debug().Err(c.Error).Msg("rtsp: malformed packet from a player")
}
