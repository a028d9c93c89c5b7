package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := freeRTPPort(t)
	takenUDP, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port+1))
	if err != nil {
		t.Fatal(err)
	}
	defer takenUDP.Close()
	for _, test := range []struct {
		name    string
		options ServerOptions
		want    string
	}{
		{"port in use", ServerOptions{Address: taken.Addr().String()},
			"rtsp: listen on " + taken.Addr().String() + ": address already in use; choose another with --rtsp"},
		{"RTCP port in use", ServerOptions{Address: "127.0.0.1:0", RTPPort: port},
			fmt.Sprintf("rtsp: listen on UDP 127.0.0.1:%d: address already in use; choose another even port with --rtp-port, or 0 there for RTSP over TCP only", port+1)},
		{"no port", ServerOptions{Address: "127.0.0.1"}, "write it as host:port"},
		{"not our address", ServerOptions{Address: "192.0.2.1:0"}, "cannot assign requested address"},
		{"odd RTP port", ServerOptions{Address: "127.0.0.1:0", RTPPort: 8001}, "must be even"},
		{"RTP port too large", ServerOptions{Address: "127.0.0.1:0", RTPPort: 65536}, "at most 65534"},
		{"queue", ServerOptions{Address: "127.0.0.1:0", QueuePackets: 100}, "power of two"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := NewServer(test.options).Listen(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Listen: got error %v, want one with %q", err, test.want)
			}
		})
	}
	t.Run("ports are free again", func(t *testing.T) {
		address, rtpPort := "127.0.0.1:0", freeRTPPort(t)
		for name, release := range map[string]func(*Server) error{
			"Run with an ended context": func(s *Server) error {
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				return s.Run(ended)
			},
			"Close": (*Server).Close,
			"Close after Run": func(s *Server) error {
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				return errors.Join(s.Run(ended), s.Close(), s.Close())
			},
		} {
			s := NewServer(ServerOptions{Address: address, RTPPort: rtpPort})
			if err := s.Listen(); err != nil {
				t.Fatalf("Listen before %s: %v", name, err)
			}
			address = s.Addr()
			if err := release(s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		s := NewServer(ServerOptions{Address: address, RTPPort: rtpPort})
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("nothing to close", func(t *testing.T) {
		if err := NewServer(ServerOptions{}).Close(); err != nil {
			t.Errorf("Close before Listen: %v", err)
		}
	})
}

func TestURL(t *testing.T) {
	for _, test := range []struct{ address, path, want, local string }{
		{"127.0.0.1:8554", "", "rtsp://127.0.0.1:8554/overlay", "rtsp://127.0.0.1:8554/overlay"},
		{"[::1]:8554", "cam/", "rtsp://[::1]:8554/cam", "rtsp://[::1]:8554/cam"},
		{"camera.example:8554", "/a/b", "rtsp://camera.example:8554/a/b", "rtsp://camera.example:8554/a/b"},
		{"0.0.0.0:8554", "", "rtsp://0.0.0.0:8554/overlay", "rtsp://127.0.0.1:8554/overlay"},
		{"[::]:8554", "", "rtsp://[::]:8554/overlay", "rtsp://127.0.0.1:8554/overlay"},
		{":8554", "", "rtsp://[::]:8554/overlay", "rtsp://127.0.0.1:8554/overlay"},
	} {
		s := mustOpen(t, NewServer(ServerOptions{Address: test.address}), test.path)
		if got := s.URL(); got != test.want {
			t.Errorf("URL of %q, path %q = %q, want %q", test.address, test.path, got, test.want)
		}
		if got := s.LocalURL(); got != test.local {
			t.Errorf("LocalURL of %q, path %q = %q, want %q", test.address, test.path, got, test.local)
		}
	}
}

// A server on all interfaces can be reached by the address that it tells.
func TestLocalURLOfAllInterfaces(t *testing.T) {
	for _, everywhere := range []string{":0", "0.0.0.0:0"} {
		s := NewServer(ServerOptions{Address: everywhere})
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(mustOpen(t, s, "").LocalURL())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Errorf("%s: %v", everywhere, err)
		} else {
			conn.Close()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// failingListener fails its first Accepts as a system short of file descriptors does.
type failingListener struct {
	net.Listener
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestListenerOutlivesAcceptErrors(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	failing := &failingListener{Listener: tcp, failures: 2}
	listener := &patientListener{Listener: failing, stopped: stopped}
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatalf("Accept after two failures: %v, want the connection", err)
	}
	conn.Close()

	tcp.Close()
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed listener: %v, want net.ErrClosed", err)
	}
	close(stopped)
	failing.failures = 1 << 30
	if _, err := listener.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Accept after the server stopped: %v, want the system's error", err)
	}
}
