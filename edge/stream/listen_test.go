package stream

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

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
