package systemd

import (
	"bytes"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// manager is systemd's end of the socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func heard(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestMessages(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000000")
	s := Find(zerolog.Nop())
	if s == nil || s.Patience() != 20*time.Second {
		t.Fatalf("service %+v, want one with a patience of 20 s", s)
	}
	for _, c := range []struct {
		send func()
		want string
	}{
		{func() { s.Ready("front up") }, "READY=1\nSTATUS=front up"},
		{func() { s.Status("two\nlines") }, "STATUS=two lines"},
		{s.Alive, "WATCHDOG=1"},
		{s.Stopping, "STOPPING=1"},
	} {
		c.send()
		if got := heard(t, conn); got != c.want {
			t.Errorf("sent %q, want %q", got, c.want)
		}
	}
	s.Reloading()
	reloading, stamp, _ := strings.Cut(heard(t, conn), "\nMONOTONIC_USEC=")
	if usec, err := strconv.ParseInt(stamp, 10, 64); reloading != "RELOADING=1" || err != nil || usec <= 0 {
		t.Errorf("sent %q with the time %q", reloading, stamp)
	}
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if s := Find(zerolog.Nop()); s != nil {
		t.Errorf("found %+v though no systemd waits", s)
	}
}

func TestSystemdThatIsGone(t *testing.T) {
	conn := manager(t)
	var log bytes.Buffer
	s := Find(zerolog.New(&log))
	conn.Close()
	s.Alive()
	if !strings.Contains(log.String(), "systemd cannot be told") {
		t.Errorf("log %s", &log)
	}
}
