package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// dialogue is an RTSP client (RFC 2326) that a test plays by hand.
type dialogue struct {
	t       *testing.T
	conn    *net.TCPConn
	text    *textproto.Reader
	url     string
	seq     int
	session string
}

// dial connects with the smallest receive buffer that the system gives, or its usual one
// where receiveBytes is 0.
func dial(t *testing.T, url string, receiveBytes int) *dialogue {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "rtsp://"), "/")
	conn, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &dialogue{t: t, conn: conn.(*net.TCPConn), text: textproto.NewReader(bufio.NewReader(conn)), url: url}
	if receiveBytes > 0 {
		if err := d.conn.SetReadBuffer(receiveBytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return d
}

// ask sends a request for the stream's URL with a suffix, which must be granted.
func (d *dialogue) ask(method, suffix, header string) {
	d.t.Helper()
	d.seq++
	request := fmt.Sprintf("%s %s%s RTSP/1.0\r\nCSeq: %d\r\n", method, d.url, suffix, d.seq)
	if d.session != "" {
		request += "Session: " + d.session + "\r\n"
	}
	if header != "" {
		request += header + "\r\n"
	}
	if _, err := io.WriteString(d.conn, request+"\r\n"); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
	line, err := d.text.ReadLine()
	if err != nil || line != "RTSP/1.0 200 OK" {
		d.t.Fatalf("%s %s: %q, %v; want 200 OK", method, d.url, line, err)
	}
	answer, err := d.text.ReadMIMEHeader()
	if err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
	if id, _, _ := strings.Cut(answer.Get("Session"), ";"); id != "" {
		d.session = id
	}
	length, _ := strconv.Atoi(answer.Get("Content-Length")) // absent is 0
	if _, err := io.CopyN(io.Discard, d.text.R, int64(length)); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
}

const overTCP = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"

// overUDP names ports where nobody listens.
func overUDP(t *testing.T) string {
	t.Helper()
	port := freeRTPPort(t)
	return fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d", port, port+1)
}

// Steps of a dialogue, each after those before it.
const (
	connected = iota
	described
	setUp
	playing
)

// advance takes the dialogue up to a step.
func (d *dialogue) advance(step int, transport string) {
	d.t.Helper()
	if step >= described {
		d.ask("DESCRIBE", "", "Accept: application/sdp")
	}
	if step >= setUp {
		d.ask("SETUP", "/trackID=0", transport)
	}
	if step >= playing {
		d.ask("PLAY", "", "")
	}
}

// A player that stops reading is disconnected. It costs the others nothing, takes a bounded
// amount of memory, and does not hold up the end.
func TestPlayerThatStopsReading(t *testing.T) {
	const width, height = 640, 360
	// So much is sent that the buffers between server and player fill within seconds.
	d := start(t, "--camera", fmt.Sprintf("synthetic:?size=%dx%d&fps=30&style=snow", width, height),
		"--model", writeModel(t, trttest.Options{}), "--bitrate", "100000")
	healthy := play(t, d.rtsp, "tcp", width, height)
	healthy.take(10)
	before := residentMiB(t)
	dial(t, d.rtsp, 2048).advance(playing, overTCP)
	eventually(t, "both play", func() bool { return d.metric(t, "robustnet_rtsp_clients") == 2 })
	eventually(t, "only the healthy player is left", func() bool {
		healthy.take(1)
		return d.metric(t, "robustnet_rtsp_clients") == 1
	})
	healthy.take(30)
	if grown := residentMiB(t) - before; grown > 64 {
		t.Errorf("the process grew by %d MiB, want 64 at most", grown)
	}
	if fields, _ := d.log.find("rtsp: player does not keep up, disconnecting it"); fields == nil {
		t.Error("the log does not tell of the player that was disconnected")
	}

	dial(t, d.rtsp, 2048).advance(playing, overTCP)
	healthy.take(15) // while nobody reads what the other is sent
	d.stop()
}

// residentMiB is the memory of this process, the libraries' included.
func residentMiB(t *testing.T) int {
	t.Helper()
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("the system does not tell a process's memory: %v", err)
	}
	var total, resident int
	if _, err := fmt.Sscan(string(content), &total, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize() >> 20
}

// Clients that vanish at any point of the protocol leave nothing behind.
func TestDroppedConnections(t *testing.T) {
	d := start(t, "--camera", "synthetic:?size=320x180&fps=15", "--model", writeModel(t, trttest.Options{}),
		"--rtp-port", strconv.Itoa(freeRTPPort(t)))
	for i := range 20 {
		step, transport := i%4, overTCP
		if i/4%2 == 1 {
			transport = overUDP(t)
		}
		c := dial(t, d.rtsp, 0)
		c.advance(step, transport)
		if i%3 == 0 {
			// With an RST, as from a host that crashed.
			if err := c.conn.SetLinger(0); err != nil {
				t.Fatal(err)
			}
		}
		c.conn.Close()
	}
	eventually(t, "all players are counted out", func() bool {
		return d.metric(t, "robustnet_rtsp_clients") == 0 && d.camera(t).Stream.Viewers == 0
	})
	play(t, d.rtsp, "tcp", 320, 180).take(5)
	d.stop() // and no goroutine is left
}
