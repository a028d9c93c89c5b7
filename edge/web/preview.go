package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/robustnet-edge/robustnet/edge/view"
)

const (
	previewBoundary = "frame"
	previewType     = "multipart/x-mixed-replace; boundary=" + previewBoundary
	previewDelim    = "\r\n--" + previewBoundary + "\r\n"
)

// preview streams motion JPEG: always the newest picture, no faster than PreviewFPS. A
// client that does not take a picture within partTimeout is dropped.
func (s *Server) preview(w http.ResponseWriter, r *http.Request) {
	pictures, v, ok := s.requested(w, r)
	if !ok {
		return
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", previewType)
		return
	}
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "all "+strconv.Itoa(cap(s.viewers))+" previews are taken; close one elsewhere, or play the RTSP stream", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", previewType)
	err := s.stream(r.Context(), w, pictures, v)
	s.o.Log.Debug().Err(err).Str("client", r.RemoteAddr).Str("view", string(v)).Msg("preview ended")
}

func (s *Server) stream(ctx context.Context, w http.ResponseWriter, pictures Pictures, v view.View) error {
	rc := http.NewResponseController(w)
	// The server's read deadline would cancel the request's context although the client
	// is well.
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	p := partWriter{w: w, rc: rc, timeout: s.partTimeout}
	if err := p.open(); err != nil {
		return err
	}
	pace := time.NewTimer(0)
	defer pace.Stop()
	var seq uint64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pace.C:
		}
		jpeg, next, err := pictures.Picture(ctx, v, seq)
		if err != nil {
			return err
		}
		pace.Reset(time.Second / time.Duration(s.fps.Load()))
		if err := p.write(jpeg); err != nil {
			return err
		}
		seq = next
	}
}

// partWriter writes the parts of a multipart body. The delimiter follows each part at
// once, because browsers show a part only when they have seen where it ends.
type partWriter struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	header  []byte
}

func (p *partWriter) open() error {
	return p.send([]byte("--" + previewBoundary + "\r\n"))
}

func (p *partWriter) write(jpeg []byte) error {
	p.header = append(p.header[:0], "Content-Type: image/jpeg\r\nContent-Length: "...)
	p.header = strconv.AppendInt(p.header, int64(len(jpeg)), 10)
	p.header = append(p.header, "\r\n\r\n"...)
	return p.send(p.header, jpeg, []byte(previewDelim))
}

func (p *partWriter) send(pieces ...[]byte) error {
	if err := p.rc.SetWriteDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	for _, piece := range pieces {
		if _, err := p.w.Write(piece); err != nil {
			return err
		}
	}
	return p.rc.Flush()
}
