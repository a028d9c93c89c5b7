package stream

import (
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
)

// play decodes frames pictures with ffmpeg and returns the last of them as I420.
func play(t *testing.T, url, transport string, frames, width, height int, options ...string) []byte {
	t.Helper()
	raw := tool(t, "ffmpeg", append(options, "-nostdin", "-rtsp_transport", transport, "-i", url,
		"-frames:v", fmt.Sprint(frames), "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1")...)
	size := width * height * 3 / 2
	if len(raw) != frames*size {
		t.Errorf("%s over %s: decoded %d bytes, want %d pictures of %d", url, transport, len(raw), frames, size)
		return make([]byte, size)
	}
	return raw[len(raw)-size:]
}

func TestPlayersSeeThePicture(t *testing.T) { eachEncoder(t, testPlayersSeeThePicture) }

func testPlayersSeeThePicture(t *testing.T, f EncoderFactory) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	feedFrom(t, s, f, o)
	for _, test := range []struct{ name, url, transport string }{
		{"TCP", s.URL(), "tcp"},
		{"UDP", s.URL(), "udp"},
		{"trailing slash", s.URL() + "/", "tcp"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkPattern(t, play(t, test.url, test.transport, 10, o.Width, o.Height), o.Width, o.Height)
		})
	}
	eventually(t, "players counted out", func() bool { return s.Viewers() == 0 })
	if got := s.BytesSent(); got == 0 {
		t.Error("BytesSent = 0 after three players")
	}
}

func TestTwoPlayersAtOnce(t *testing.T) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	feed(t, s, o)
	var players sync.WaitGroup
	for _, transport := range []string{"tcp", "udp"} {
		players.Go(func() {
			// The second one joins between two key frames, and ffmpeg complains of the
			// pictures before the next one.
			raw := play(t, s.URL(), transport, 30, o.Width, o.Height, "-v", "fatal")
			checkPattern(t, raw, o.Width, o.Height)
		})
	}
	eventually(t, "both play", func() bool { return s.Viewers() == 2 })
	players.Wait()
}

// watcher is a player inside the test. It reports every access unit.
type watcher struct {
	client *gortsplib.Client
	units  chan unit
}

type unit struct {
	key       bool
	timestamp uint32
}

func watch(t *testing.T, s *served, protocol gortsplib.Protocol) *watcher {
	t.Helper()
	u, err := base.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{
		client: &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &protocol},
		units:  make(chan unit, 1024),
	}
	if err := w.client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	session, _, err := w.client.Describe(u)
	if err != nil {
		t.Fatal(err)
	}
	var h264Format *format.H264
	media := session.FindFormat(&h264Format)
	if _, err := w.client.Setup(session.BaseURL, media, 0, 0); err != nil {
		t.Fatal(err)
	}
	decoder, err := h264Format.CreateDecoder()
	if err != nil {
		t.Fatal(err)
	}
	w.client.OnPacketRTP(media, h264Format, func(packet *rtp.Packet) {
		if nalus, err := decoder.Decode(packet); err == nil {
			w.units <- unit{h264.IsRandomAccess(nalus), packet.Timestamp}
		}
	})
	if _, err := w.client.Play(nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watcher) next(t *testing.T) unit {
	t.Helper()
	select {
	case u := <-w.units:
		return u
	case <-time.After(patience):
		t.Fatal("no picture arrived")
		return unit{}
	}
}

func TestPlayIsAnsweredWithAKeyFrame(t *testing.T) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	e, p := mustFormat(t, s, o)
	for _, protocol := range []gortsplib.Protocol{gortsplib.ProtocolTCP, gortsplib.ProtocolUDP} {
		t.Run(protocol.String(), func(t *testing.T) {
			w := watch(t, s, protocol)
			// PLAY has been answered: from here on the very next picture must do.
			wanted := s.TakeKeyRequest()
			au, err := e.Encode(p.next(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Write(au, time.Now()); err != nil {
				t.Fatal(err)
			}
			if got := w.next(t); !wanted || !got.key {
				t.Errorf("after PLAY: key request %t, first picture a key frame %t, want both", wanted, got.key)
			}
		})
	}
}

func TestTimestampsFollowTheCamera(t *testing.T) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{})
	e, p := mustFormat(t, s, o)
	w := watch(t, s, gortsplib.ProtocolTCP)
	start := time.Now()
	var first uint32
	for i, test := range []struct {
		captured time.Duration
		want     uint32 // 1/90000 s after the first
	}{
		{0, 0},
		{40 * time.Millisecond, 3600},
		{40 * time.Millisecond, 3601}, // no progress
		{20 * time.Millisecond, 3602}, // backwards
		{time.Second, 90000},
		{3600 * time.Second, 324000000},
		{50000 * time.Second, 205032704}, // once around 32 bits
	} {
		au, err := e.Encode(p.next(), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(au, start.Add(test.captured)); err != nil {
			t.Fatal(err)
		}
		got := w.next(t)
		if i == 0 {
			first = got.timestamp
		}
		if got.timestamp-first != test.want {
			t.Errorf("captured %v after the first: RTP timestamp %d after it, want %d", test.captured, got.timestamp-first, test.want)
		}
	}
}

func TestStalledPlayerHurtsNobody(t *testing.T) {
	o := smallOptions()
	o.BitrateKbps = 20000
	s, _ := serve(t, ServerOptions{QueuePackets: 128})
	e, _ := mustFormat(t, s, o)
	stalled := dial(t, s)
	stalled.conn.SetReadBuffer(4096)
	stalled.mustPlay(overTCP)
	healthy := watch(t, s, gortsplib.ProtocolTCP)
	pictures := noise(o.Width, o.Height, 8)
	sent := 0
	send := func() {
		au, err := e.Encode(pictures[sent%len(pictures)], true)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(au, time.Now()); err != nil {
			t.Fatal(err)
		}
		sent++
		if len(au.NALUs) > 0 {
			healthy.next(t) // in step, so that only the stalled one falls behind
		}
	}
	for deadline := time.Now().Add(patience); s.Viewers() == 2; {
		if time.Now().After(deadline) {
			t.Fatalf("the stalled player is still connected after %d pictures", sent)
		}
		send()
	}
	eventually(t, "only the healthy player left", func() bool { return s.Viewers() == 1 && connections(s) == 1 })
	for range 10 {
		send()
	}
}

func TestShutdownWhilePlaying(t *testing.T) {
	o := smallOptions()
	s, stop := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	feed(t, s, o)
	watch(t, s, gortsplib.ProtocolTCP)
	watch(t, s, gortsplib.ProtocolUDP)
	dial(t, s).mustPlay(overTCP) // never reads
	eventually(t, "all play", func() bool { return s.Viewers() == 3 })
	stop() // while feed goes on writing
	if c, v := connections(s), s.Viewers(); c != 0 || v != 0 {
		t.Errorf("after Run: %d connections and %d viewers, want none", c, v)
	}
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("the port still accepts connections after Run")
	}
}

func TestShutdownWithUnreadAnswers(t *testing.T) {
	s, stop := serve(t, ServerOptions{})
	mustFormat(t, s, smallOptions())
	d := dial(t, s)
	request := []byte(strings.Repeat("DESCRIBE "+s.URL()+" RTSP/1.0\r\nCSeq: 1\r\n\r\n", 100))
	for {
		d.conn.SetWriteDeadline(time.Now().Add(writeTimeout / 10))
		if _, err := d.conn.Write(request); err != nil {
			break // the server is stuck in an answer: it takes no more requests
		}
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > writeTimeout/2 {
		t.Errorf("Run took %v to return: it waited for a client that reads no answers", took)
	}
}

func TestTicks(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 11111, 11112, time.Second/30 + 1, time.Second, 1000 * time.Hour, 1<<63 - 1} {
		want := new(big.Int).Mul(big.NewInt(int64(d)), big.NewInt(rtpClockHz))
		want.Quo(want, big.NewInt(int64(time.Second)))
		if got := ticks(d); !want.IsInt64() || got != want.Int64() {
			t.Errorf("ticks(%d ns) = %d, want %v", d, got, want)
		}
	}
}
