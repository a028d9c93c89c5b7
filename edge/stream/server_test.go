package stream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// dialogue is a player that a test plays by hand.
type dialogue struct {
	t       *testing.T
	conn    *net.TCPConn
	reader  *bufio.Reader
	url     string
	seq     int
	session string
}

func dial(t *testing.T, s *served) *dialogue {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &dialogue{t: t, conn: conn.(*net.TCPConn), reader: bufio.NewReader(conn), url: s.URL()}
}

// send writes a request whose URL is the stream's with a suffix.
func (d *dialogue) send(method, suffix string, headers ...string) {
	d.t.Helper()
	d.seq++
	request := fmt.Sprintf("%s %s%s RTSP/1.0\r\nCSeq: %d\r\n", method, d.url, suffix, d.seq)
	if d.session != "" {
		request += "Session: " + d.session + "\r\n"
	}
	for _, h := range headers {
		request += h + "\r\n"
	}
	if _, err := io.WriteString(d.conn, request+"\r\n"); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
}

// receive reads the next response, past any interleaved packets.
func (d *dialogue) receive() (status int, body string) {
	d.t.Helper()
	text := textproto.NewReader(d.reader)
	for {
		if next, err := d.reader.Peek(4); err == nil && next[0] == '$' {
			d.reader.Discard(4 + int(next[2])<<8 + int(next[3]))
			continue
		}
		line, err := text.ReadLine()
		if err != nil {
			d.t.Fatalf("read a response: %v", err)
		}
		if _, err := fmt.Sscanf(line, "RTSP/1.0 %d", &status); err != nil {
			d.t.Fatalf("response begins with %q", line)
		}
		header, err := text.ReadMIMEHeader()
		if err != nil {
			d.t.Fatal(err)
		}
		if id, _, _ := strings.Cut(header.Get("Session"), ";"); id != "" {
			d.session = id
		}
		length, _ := strconv.Atoi(header.Get("Content-Length"))
		content := make([]byte, length)
		if _, err := io.ReadFull(d.reader, content); err != nil {
			d.t.Fatal(err)
		}
		return status, string(content)
	}
}

// connections counts the open ones.
func connections(s *served) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (d *dialogue) ask(method, suffix string, headers ...string) int {
	d.t.Helper()
	d.send(method, suffix, headers...)
	status, _ := d.receive()
	return status
}

const overTCP = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"

func (d *dialogue) mustPlay(transport string) {
	d.t.Helper()
	if status := d.ask("SETUP", "/trackID=0", transport); status != 200 {
		d.t.Fatalf("SETUP: status %d, want 200", status)
	}
	if status := d.ask("PLAY", ""); status != 200 {
		d.t.Fatalf("PLAY: status %d, want 200", status)
	}
}

// mustFormat gives s the format of a fresh encoder and returns the encoder.
func mustFormat(t *testing.T, s *served, o EncoderOptions) (*Encoder, *pattern) {
	t.Helper()
	e, p := mustEncoder(t, BuiltIn(), o), newPattern(o.Width, o.Height)
	au, err := e.Encode(p.next(), true)
	if err != nil {
		t.Fatal(err)
	}
	sps, pps := au.ParameterSets()
	if err := s.SetFormat(sps, pps, o.Width, o.Height); err != nil {
		t.Fatal(err)
	}
	return e, p
}

func TestRequestsAndTheirAnswers(t *testing.T) {
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	mustFormat(t, s, smallOptions())
	for _, test := range []struct {
		name, method, suffix string
		headers              []string
		want                 int
	}{
		{"options", "OPTIONS", "", nil, 200},
		{"describe", "DESCRIBE", "", nil, 200},
		{"describe with a slash", "DESCRIBE", "/", nil, 200},
		{"describe another path", "DESCRIBE", "s", nil, 404},
		{"set up another path", "SETUP", "s/trackID=0", []string{overTCP}, 404},
		{"set up another track", "SETUP", "/trackID=7", []string{overTCP}, 400},
		{"set up without a transport", "SETUP", "/trackID=0", nil, 400},
		{"set up multicast", "SETUP", "/trackID=0", []string{"Transport: RTP/AVP;multicast"}, 461},
		{"publish", "ANNOUNCE", "", []string{"Content-Type: application/sdp"}, 501},
		{"set up to record", "SETUP", "/trackID=0", []string{overTCP + ";mode=record"}, 400},
		{"record", "RECORD", "", nil, 501},
		{"play without a session", "PLAY", "", nil, 501},
		{"play in a foreign session", "PLAY", "", []string{"Session: 1234"}, 454},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := dial(t, s).ask(test.method, test.suffix, test.headers...); got != test.want {
				t.Errorf("%s %s %v: status %d, want %d", test.method, test.suffix, test.headers, got, test.want)
			}
		})
	}
	t.Run("description", func(t *testing.T) {
		d := dial(t, s)
		d.send("DESCRIBE", "")
		if _, sdp := d.receive(); !strings.Contains(sdp, "H264/90000") || !strings.Contains(sdp, "sprop-parameter-sets=") {
			t.Errorf("description lacks the format:\n%s", sdp)
		}
	})
}

func TestWebPagesCannotWatch(t *testing.T) {
	s, _ := serve(t, ServerOptions{})
	mustFormat(t, s, smallOptions())
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://example.org\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
		"Sec-WebSocket-Protocol: rtsp.onvif.org\r\n\r\n")
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Skipf("the library refuses the tunnel by itself: %q, %v", line, err)
	}
	request := "DESCRIBE " + s.URL() + " RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	conn.Write([]byte{0x82, 0x80 | byte(len(request)), 0, 0, 0, 0}) // one masked binary frame, mask 0
	io.WriteString(conn, request)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.Index(line, "RTSP/1.0 "); at >= 0 {
			if !strings.Contains(line, "403") {
				t.Errorf("DESCRIBE from a web page is answered %q, want 403", line[at:])
			}
			return
		}
	}
}

func TestViewersFollowTheirSessions(t *testing.T) {
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	mustFormat(t, s, smallOptions())
	udp := fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d", 40000, 40001)
	for _, test := range []struct{ name, transport string }{{"TCP", overTCP}, {"UDP", udp}} {
		t.Run(test.name, func(t *testing.T) {
			d := dial(t, s)
			d.mustPlay(test.transport)
			for _, step := range []struct {
				method      string
				viewers     int
				keyRequests bool
			}{{"OPTIONS", 1, true}, {"PLAY", 1, false}, {"PAUSE", 0, false}, {"PAUSE", 0, false}, {"PLAY", 1, true}} {
				if status := d.ask(step.method, ""); status != 200 {
					t.Fatalf("%s: status %d, want 200", step.method, status)
				}
				if got := s.Viewers(); got != step.viewers {
					t.Errorf("after %s: %d viewers, want %d", step.method, got, step.viewers)
				}
				if got := s.TakeKeyRequest(); got != step.keyRequests {
					t.Errorf("after %s: key request %t, want %t", step.method, got, step.keyRequests)
				}
				if s.TakeKeyRequest() {
					t.Errorf("after %s: a key request is given out twice", step.method)
				}
			}
			d.conn.Close() // without TEARDOWN
			eventually(t, "viewer counted out", func() bool { return s.Viewers() == 0 })
		})
	}
}

func TestDescribeWaitsForTheFormat(t *testing.T) {
	t.Run("a player that came first plays", func(t *testing.T) {
		s, _ := serve(t, ServerOptions{FormatWait: time.Hour})
		early := dial(t, s)
		early.send("DESCRIBE", "")
		if status := dial(t, s).ask("OPTIONS", ""); status != 200 {
			t.Errorf("OPTIONS while another waits: status %d, want 200", status)
		}
		mustFormat(t, s, smallOptions())
		if status, _ := early.receive(); status != 200 {
			t.Errorf("DESCRIBE before the format: status %d, want 200", status)
		}
	})
	t.Run("a format set before Run", func(t *testing.T) {
		s := &served{Server: NewServer(ServerOptions{Address: "127.0.0.1:0"})}
		s.Stream = mustOpen(t, s.Server, "")
		mustFormat(t, s, smallOptions())
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		d := dial(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if status := d.ask("DESCRIBE", ""); status != 200 {
			t.Errorf("DESCRIBE: status %d, want 200", status)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("no format", func(t *testing.T) {
		s, _ := serve(t, ServerOptions{FormatWait: time.Millisecond})
		if status := dial(t, s).ask("DESCRIBE", ""); status != 503 {
			t.Errorf("DESCRIBE without a format: status %d, want 503", status)
		}
		if status := dial(t, s).ask("SETUP", "/trackID=0", overTCP); status != 503 {
			t.Errorf("SETUP without a format: status %d, want 503", status)
		}
	})
	t.Run("shutdown meanwhile", func(t *testing.T) {
		s, stop := serve(t, ServerOptions{FormatWait: time.Hour})
		dial(t, s).send("DESCRIBE", "")
		eventually(t, "connected", func() bool { return connections(s) == 1 })
		stop()
	})
}

func TestSetFormat(t *testing.T) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{})
	e, p := mustFormat(t, s, o)
	au, err := e.Encode(p.next(), true)
	if err != nil {
		t.Fatal(err)
	}
	sps, pps := au.ParameterSets()
	for _, test := range []struct {
		name          string
		sps, pps      []byte
		width, height int
		want          string
	}{
		{"no PPS", sps, nil, o.Width, o.Height, "want both"},
		{"garbage", []byte{0x67, 0xff}, pps, o.Width, o.Height, "sequence parameter set"},
		{"another size", sps, pps, 640, 480, "told 640×480"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := s.SetFormat(test.sps, test.pps, test.width, test.height); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("SetFormat: got error %v, want one with %q", err, test.want)
			}
		})
	}
	d := dial(t, s)
	d.mustPlay(overTCP)
	// Encoders repeat their parameter sets with every key frame.
	allocations := testing.AllocsPerRun(10, func() {
		if err := s.SetFormat(sps, pps, o.Width, o.Height); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 1 { // other goroutines may allocate meanwhile
		t.Errorf("the same format again takes %v allocations, want none", allocations)
	}
	if status := d.ask("GET_PARAMETER", ""); status != 200 || s.Viewers() != 1 {
		t.Errorf("the same format again: status %d and %d viewers, want 200 and 1", status, s.Viewers())
	}
	half := dial(t, s)
	if status := half.ask("SETUP", "/trackID=0", overTCP); status != 200 {
		t.Fatalf("SETUP: status %d", status)
	}
	o.Width, o.Height = 160, 128
	mustFormat(t, s, o)
	for name, old := range map[string]*dialogue{"playing": d, "set up": half} {
		if _, err := io.Copy(io.Discard, old.reader); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s session after a new size: %v, want the connection closed", name, err)
		}
	}
	if status := dial(t, s).ask("DESCRIBE", ""); status != 200 {
		t.Errorf("DESCRIBE after a new size: status %d, want 200", status)
	}
}

// The RTSP library panics when two SETUPs of one session meet different streams.
func TestNewSizeBetweenTwoSetups(t *testing.T) {
	s, _ := serve(t, ServerOptions{})
	mustFormat(t, s, smallOptions())
	d := dial(t, s)
	if status := d.ask("SETUP", "/trackID=0", overTCP); status != 200 {
		t.Fatalf("SETUP: status %d", status)
	}
	// What SetFormat does, stopped between the new track and the end of the old one.
	s.mu.Lock()
	old := s.track
	next, err := newTrack(old.format.SPS, old.format.PPS, old.width, old.height)
	if err == nil {
		err = next.open(s.rtsp)
	}
	s.track = next
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if status := d.ask("SETUP", "/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3"); status != 503 {
		t.Errorf("SETUP after the size changed: status %d, want 503", status)
	}
	old.close()
	if status := dial(t, s).ask("SETUP", "/trackID=0", overTCP); status != 200 {
		t.Errorf("SETUP of a new session: status %d, want 200", status)
	}
}

func TestBrokenClientsLeaveNothing(t *testing.T) {
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	feed(t, s, smallOptions())
	if status := dial(t, s).ask("DESCRIBE", ""); status != 200 {
		t.Fatalf("DESCRIBE: status %d", status)
	}
	eventually(t, "the server ready", func() bool { return connections(s) == 1 })
	before := runtime.NumGoroutine()
	breakages := []func(d *dialogue){
		func(d *dialogue) {},
		func(d *dialogue) { io.WriteString(d.conn, "DESCR") },
		func(d *dialogue) { io.WriteString(d.conn, "\x00\xff\x16\x03garbage\r\n\r\n") },
		func(d *dialogue) { io.WriteString(d.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
		func(d *dialogue) { io.WriteString(d.conn, "DESCRIBE "+d.url+" RTSP/1.0\r\n\r\n") }, // no CSeq
		func(d *dialogue) { io.WriteString(d.conn, "$\x00\xff\xff") },
		func(d *dialogue) { d.ask("SETUP", "/trackID=0", overTCP) },
		func(d *dialogue) { d.mustPlay(overTCP) },
		func(d *dialogue) { d.mustPlay(overTCP); d.conn.SetLinger(0) }, // reset instead of end
		func(d *dialogue) { d.mustPlay(overTCP); io.WriteString(d.conn, "$\x01\x00\x04abcdgarbage") },
	}
	for i := range 20 {
		d := dial(t, s)
		breakages[i%len(breakages)](d)
		d.conn.Close()
	}
	eventually(t, "only the first connection left", func() bool { return connections(s) == 1 && s.Viewers() == 0 })
	eventually(t, "their goroutines gone", func() bool { return runtime.NumGoroutine() <= before })
}

func TestTooManyConnections(t *testing.T) {
	s, _ := serve(t, ServerOptions{})
	for range maxConnections {
		if status := dial(t, s).ask("OPTIONS", ""); status != 200 {
			t.Fatalf("OPTIONS: status %d", status)
		}
	}
	if n, err := dial(t, s).conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("one connection too many read %d bytes, want it closed", n)
	}
}

// Streams of one server have players, key requests and lives of their own.
func TestStreamsAreSeparate(t *testing.T) {
	s, _ := serve(t, ServerOptions{})
	rear := mustOpen(t, s.Server, "rear")
	if _, err := s.Open("/rear/"); err == nil || !strings.Contains(err.Error(), "/rear") {
		t.Errorf("second stream at one path: %v, want an error that names it", err)
	}
	both := &served{Server: s.Server, Stream: rear}
	mustFormat(t, s, smallOptions())
	mustFormat(t, both, smallOptions())
	front, back := dial(t, s), dial(t, both)
	front.mustPlay(overTCP)
	eventually(t, "a player in front", func() bool { return s.Viewers() == 1 })
	if rear.Viewers() != 0 || rear.TakeKeyRequest() || !s.TakeKeyRequest() {
		t.Errorf("rear has %d viewers after a player joined the other stream", rear.Viewers())
	}
	back.mustPlay(overTCP)
	eventually(t, "a player behind", func() bool { return rear.Viewers() == 1 })
	rear.Close()
	rear.Close()
	eventually(t, "the player of the closed stream is gone", func() bool { return rear.Viewers() == 0 })
	if s.Viewers() != 1 {
		t.Errorf("the other stream has %d viewers, want its one", s.Viewers())
	}
	if status := dial(t, both).ask("DESCRIBE", ""); status != 404 {
		t.Errorf("DESCRIBE of a closed stream: status %d, want 404", status)
	}
	if err := rear.SetFormat(nil, nil, 1, 1); err == nil {
		t.Error("SetFormat of nothing on a closed stream succeeded")
	}
	mustOpen(t, s.Server, "rear") // the path is free again
}
