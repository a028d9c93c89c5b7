package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// contentSecurityPolicy lets the page use only what this server serves, without inline
// scripts and styles, and keeps it out of frames.
const contentSecurityPolicy = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// route is one address that the server answers.
type route struct {
	path    string
	handler http.HandlerFunc
}

// routes lists every documented address.
func (s *Server) routes() []route {
	return []route{
		{"/", s.page},
		{"/preview.mjpg", s.preview},
		{"/snapshot.jpg", s.snapshot},
		{"/healthz", s.health},
		{"/readyz", s.ready},
		{"/metrics", s.o.Metrics.ServeHTTP},
		{"/api/v1/status", s.status},
		{"/api/v1/openapi.json", asset("openapi.json", "application/json")},
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		pattern := r.path
		if pattern == "/" {
			pattern = "/{$}"
		}
		mux.HandleFunc("GET "+pattern, r.handler)
	}
	mux.HandleFunc("GET /app.css", asset("app.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /app.js", asset("app.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /favicon.svg", asset("favicon.svg", "image/svg+xml"))
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("There is nothing at %.100q. The page is at /, the interface is described at /api/v1/openapi.json.", r.URL.Path), http.StatusNotFound)
	})
	return s.guard(mux)
}

// guard sets the headers that every answer carries and refuses foreign Host headers.
func (s *Server) guard(next http.Handler) http.Handler {
	local := s.listener.Addr().(*net.TCPAddr).IP.IsLoopback()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if local && !loopbackHost(r.Host) {
			http.Error(w, "This server answers only to localhost. To reach it under another name, start it with --http 0.0.0.0:PORT.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost tells whether a Host header names this machine itself, with or without a
// port. Names that resolve to it do not count: anyone can publish one.
func loopbackHost(host string) bool {
	name := hostname(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// hostname takes the port and the brackets off a Host header.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { plain(w, "ok") }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.o.Ready(); err != nil {
		http.Error(w, OneLine(err), http.StatusServiceUnavailable)
		return
	}
	plain(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(s.currentStatus(r)); err != nil {
		s.o.Log.Error().Err(err).Msg("status cannot be written as JSON")
		http.Error(w, "the status cannot be written as JSON; the log says why", http.StatusInternalServerError)
		return
	}
	send(w, "application/json", body.Bytes())
}

func (s *Server) currentStatus(r *http.Request) Status {
	st := s.o.Status()
	st.Preview = PreviewStatus{Viewers: len(s.viewers), MaxViewers: cap(s.viewers), FPS: int(s.fps.Load())}
	for i := range st.Cameras {
		stream := &st.Cameras[i].Stream
		stream.RTSPURL = reachable(stream.RTSPURL, r.Host)
	}
	return st
}

// reachable replaces the unspecified host of a server that listens everywhere by the one
// through which the client came.
func reachable(address, requestHost string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	ip, name := net.ParseIP(u.Hostname()), hostname(requestHost)
	if ip == nil || !ip.IsUnspecified() || name == "" {
		return address
	}
	switch port := u.Port(); {
	case port != "":
		u.Host = net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		u.Host = "[" + name + "]"
	default:
		u.Host = name
	}
	return u.String()
}

func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) {
	pictures, v, ok := s.requested(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.firstPicture)
	defer cancel()
	jpeg, _, err := pictures.Picture(ctx, v, 0)
	switch {
	case errors.Is(err, ErrNoPicture), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "there is no frame yet; /readyz says why", http.StatusServiceUnavailable)
	case err != nil:
		s.o.Log.Error().Err(err).Str("view", string(v)).Msg("snapshot failed")
		http.Error(w, "the picture cannot be made; the log says why", http.StatusInternalServerError)
	default:
		send(w, "image/jpeg", jpeg)
	}
}

func plain(w http.ResponseWriter, line string) {
	send(w, "text/plain; charset=utf-8", []byte(line+"\n"))
}

// send writes a whole answer. net/http leaves out the body of an answer to HEAD.
func send(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client is gone
}

// OneLine is an error of several lines, as of a configuration with several faults, in one: for
// status fields and answers.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
