// Package web is the daemon's HTTP side: a page with a live preview, snapshots, health,
// metrics and a small read-only JSON interface. Everything the page needs is embedded;
// nothing is loaded from elsewhere.
//
// Only GET and HEAD are answered; no request changes the daemon. There is no password:
// keep the server on loopback, or put it behind something that asks for one. While it is
// bound to a loopback address it refuses requests whose Host header is a name other than
// localhost, so that a web page elsewhere cannot reach the camera by pointing its own
// name at 127.0.0.1 (DNS rebinding). Any port is accepted in that header: tunnels such as
// ssh -L change it.
package web

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Options configure a [Server]. Every field but PreviewFPS is required.
type Options struct {
	// Address is the host and port to listen on, e.g. "127.0.0.1:8080".
	Address string
	// Pictures returns a camera's pictures; of the first one where the name is empty. The
	// error, which names the cameras that there are, says that there is none of this name.
	Pictures func(camera string) (Pictures, error)
	// Status is called once for each request for it, concurrently.
	Status func() Status
	// Ready returns nil when the daemon does its work, otherwise what keeps it from it.
	Ready func() error
	// Metrics serves /metrics.
	Metrics http.Handler
	// PreviewFPS is the highest rate of the preview in frames per second; 0 means 10.
	// [Server.SetPreviewFPS] changes it.
	PreviewFPS int
	Log        zerolog.Logger
}

// MaxPreviewViewers is how many previews may be open at once. Each costs a share of the
// CPU that the model needs.
const MaxPreviewViewers = 16

const (
	defaultPreviewFPS = 10

	// Requests are a few hundred bytes; whoever takes longer holds connections open.
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 16 << 10

	// shutdownGrace is what short requests get to finish. Run promises to be back
	// within a second.
	shutdownGrace = 500 * time.Millisecond

	// sendBufferBytes keeps the kernel from queueing seconds of preview for a slow
	// client: it holds about two pictures.
	sendBufferBytes = 256 << 10
)

// Server serves HTTP. Use it in the order [NewServer], [Server.Listen], [Server.Run].
type Server struct {
	o        Options
	listener net.Listener
	viewers  chan struct{} // one element for each open preview
	fps      atomic.Int64  // highest rate of the previews

	partTimeout  time.Duration // for one picture of a preview
	firstPicture time.Duration // how long a snapshot waits when there is no frame yet
}

// NewServer makes a server; it opens nothing.
func NewServer(o Options) *Server {
	s := &Server{
		o:            o,
		viewers:      make(chan struct{}, MaxPreviewViewers),
		partTimeout:  5 * time.Second,
		firstPicture: time.Second,
	}
	s.SetPreviewFPS(o.PreviewFPS)
	return s
}

// SetPreviewFPS changes the highest rate of the previews, those that are open among them, in
// frames per second; 0 means 10.
func (s *Server) SetPreviewFPS(fps int) {
	if fps <= 0 {
		fps = defaultPreviewFPS
	}
	s.fps.Store(int64(fps))
}

// Listen claims the address, so that a port in use is reported before the daemon says
// that it runs. The listener is closed by [Server.Run], or by [Server.Close] if Run is
// never called.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.o.Address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen for HTTP on %s: another program uses this port; choose a free one with --http HOST:PORT: %w", s.o.Address, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen for HTTP on %s: ports below 1024 need privileges; choose another with --http HOST:PORT: %w", s.o.Address, syscall.EACCES)
	case err != nil:
		return fmt.Errorf("listen for HTTP on %q: check --http HOST:PORT: %w", s.o.Address, err)
	}
	s.listener = l
	return nil
}

// Addr returns the address that the server listens on; nil before [Server.Listen].
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// URL returns the page's address for a browser on this machine; empty before
// [Server.Listen].
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return fmt.Sprintf("http://%s/", net.JoinHostPort(host, fmt.Sprint(addr.Port)))
}

// Close frees the address without serving it. It is idempotent.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop listening for HTTP on %s: %w", s.listener.Addr(), err)
	}
	return nil
}

// Run serves until ctx ends, then returns nil within a second: previews end at once, other
// requests and clients that do not read get half a second. Every goroutine has returned when Run returns, given
// that the functions in [Options] do.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("serve HTTP: not listening")
	}
	var conns sync.WaitGroup
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(s.o.Log, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       limitSendBuffer,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed:
				conns.Done()
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(s.listener) }()

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve HTTP on %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
		// ctx has ended, and what is left to do must not end with it.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			s.o.Log.Debug().Msg("closing HTTP connections that are still open")
		}
		<-served
	}
	srv.Close() // whatever Shutdown left; its error would be about a connection we drop
	conns.Wait()
	return err
}

func limitSendBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBufferBytes) // a refusal costs latency, nothing else
	}
	return ctx
}
