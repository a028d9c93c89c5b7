package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/edge/view"
)

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct{ address, want string }{
		"port in use":  {taken.Addr().String(), "another program uses this port"},
		"no port":      {"127.0.0.1", "missing port"},
		"not a port":   {"127.0.0.1:http!", "check --http HOST:PORT"},
		"not our host": {"192.0.2.1:8080", "192.0.2.1:8080"}, // TEST-NET-1, RFC 5737
	} {
		t.Run(name, func(t *testing.T) {
			o := options(newFakeCamera(0))
			o.Address = test.address
			s := NewServer(o)
			err := s.Listen()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "--http") {
				t.Errorf("Listen = %v, want an error with %q that names --http", err, test.want)
			}
			if s.Addr() != nil || s.URL() != "" || s.Close() != nil {
				t.Error("a server that does not listen has an address")
			}
		})
	}
}

func TestRunWithoutListen(t *testing.T) {
	if err := NewServer(options(newFakeCamera(0))).Run(t.Context()); err == nil {
		t.Error("Run without Listen = nil, want an error")
	}
}

func TestCloseFreesTheAddress(t *testing.T) {
	first := NewServer(options(newFakeCamera(0)))
	if err := first.Listen(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Fatalf("Close = %v", err)
		}
	}
	o := options(newFakeCamera(0))
	o.Address = first.Addr().String()
	second := NewServer(o)
	if err := second.Listen(); err != nil {
		t.Fatalf("address is not free after Close: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRunReportsALostListener(t *testing.T) {
	s := NewServer(options(newFakeCamera(0)))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "serve HTTP on 127.0.0.1") {
		t.Errorf("Run = %v, want an error that names the address", err)
	}
}

func TestURL(t *testing.T) {
	for address, host := range map[string]string{"127.0.0.1:0": "127.0.0.1", "0.0.0.0:0": "127.0.0.1", ":0": "127.0.0.1"} {
		o := options(newFakeCamera(0))
		o.Address = address
		s := NewServer(o)
		start(t, s)
		_, port, _ := net.SplitHostPort(s.Addr().String())
		if want := fmt.Sprintf("http://%s:%s/", host, port); s.URL() != want {
			t.Errorf("%s: URL = %q, want %q", address, s.URL(), want)
		}
		if got := get(t, s, "/healthz").code; got != http.StatusOK {
			t.Errorf("%s: GET %shealthz = %d, want 200", address, s.URL(), got)
		}
	}
}

// TestRunEndsWithClients stops the server while every kind of client is connected; start
// fails the test if Run stays.
func TestRunEndsWithClients(t *testing.T) {
	camera := newFakeCamera(0)
	camera.endless, camera.padding = true, 1<<20
	s := NewServer(options(camera))
	s.partTimeout = time.Hour // only the end of the context may end a stalled preview
	stop := start(t, s)

	silent := dial(t, s) // connected, says nothing
	half := dial(t, s)   // stops in the middle of a header
	request(t, half, "GET / HTTP/1.1\r\nHost: loc")
	idle := dial(t, s) // asked something once and keeps the connection
	request(t, idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	stalled := dial(t, s) // never reads its preview
	request(t, stalled, "GET /preview.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := client(t).Get(s.URL() + "preview.mjpg") // reads it
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	waitForPreviews(t, s, 2)
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, resp.Body) // ends either way; which one is a race
	}()

	stop()
	<-read
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection is still open")
	}
	var refused net.Dialer
	if c, err := refused.DialContext(t.Context(), "tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("the server still accepts connections after Run")
	}
}

func TestRunEndsWithAWaitingSnapshot(t *testing.T) {
	camera := &waitingCamera{asked: make(chan struct{})}
	s := NewServer(options(camera))
	s.firstPicture = time.Hour
	stop := start(t, s)
	c := dial(t, s)
	request(t, c, "GET /snapshot.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-camera.asked
	stop()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("code = %d, want 503", resp.StatusCode)
	}
}

// waitingCamera never has a picture and tells when it is asked for one.
type waitingCamera struct{ asked chan struct{} }

func (c *waitingCamera) Picture(ctx context.Context, _ view.View, _ uint64) ([]byte, uint64, error) {
	close(c.asked)
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func request(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}
