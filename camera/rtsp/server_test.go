package rtsp

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
)

// ffmpeg runs FFmpeg, which plays the camera's encoder here.
func ffmpeg(t testing.TB, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, &stderr)
	}
	return out
}

// encode returns a test picture's access units. Each begins with a delimiter.
func encode(t testing.TB, c codec, source string, options ...string) [][][]byte {
	t.Helper()
	encoder := map[string][]string{
		"H264": {"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "aud=1"},
		"H265": {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "aud=1:log-level=none"},
	}[c.name]
	args := append([]string{"-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"}, encoder...)
	args = append(append(args, options...), "-f", c.demuxer, "-")
	var nalus h264.AnnexB // the byte stream format is the same for H.265
	if err := nalus.Unmarshal(ffmpeg(t, args...)); err != nil {
		t.Fatal(err)
	}
	var units [][][]byte
	for _, nalu := range nalus {
		if nalu[0] == c.delimiter[4] {
			units = append(units, nil)
			continue
		}
		units[len(units)-1] = append(units[len(units)-1], nalu)
	}
	return units
}

// fakeCamera is an RTSP server that repeats its packets until it is closed.
type fakeCamera struct {
	server *gortsplib.Server
	stream *gortsplib.ServerStream
	user   string // if set, credentials are user and "s3cret"
	stop   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
}

func (c *fakeCamera) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if ctx.Path != "/live" {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	if c.user != "" && !ctx.Conn.VerifyCredentials(ctx.Request, c.user, "s3cret") {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *fakeCamera) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *fakeCamera) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (c *fakeCamera) close() {
	c.once.Do(func() {
		close(c.stop)
		c.wg.Wait()
		c.stream.Close()
		c.server.Close()
	})
}

// clockTicks is the time between two pictures: 25 per second at 90 kHz.
const clockTicks = 3600

// serve starts a camera with one stream, whose pictures are sent in turn, for ever.
func serve(t testing.TB, f format.Format, pictures [][]*rtp.Packet) *fakeCamera {
	t.Helper()
	c := &fakeCamera{stop: make(chan struct{})}
	media := &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{f}}
	if f.Codec() == "Opus" {
		media.Type = description.MediaTypeAudio
	}
	c.server = startServer(t, c)
	c.stream = &gortsplib.ServerStream{Server: c.server, Desc: &description.Session{Medias: []*description.Media{media}}}
	if err := c.stream.Initialize(); err != nil {
		t.Fatal(err)
	}
	c.wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-c.stop:
				return
			}
			if len(pictures) == 0 {
				continue
			}
			for _, pkt := range pictures[i%len(pictures)] {
				p := *pkt
				p.Timestamp = uint32(i * clockTicks)
				p.SequenceNumber += uint16(i / len(pictures) * packetCount(pictures))
				if err := c.stream.WritePacketRTP(media, &p); err != nil {
					return
				}
			}
		}
	})
	t.Cleanup(c.close)
	return c
}

// startServer looks for two free UDP ports in a row, of which the first is even.
func startServer(t testing.TB, handler gortsplib.ServerHandler) *gortsplib.Server {
	t.Helper()
	var err error
	for range 20 {
		var l net.PacketConn
		if l, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		port := l.LocalAddr().(*net.UDPAddr).Port &^ 1
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s := &gortsplib.Server{
			Handler: handler, RTSPAddress: "127.0.0.1:0",
			UDPRTPAddress: fmt.Sprintf("127.0.0.1:%d", port), UDPRTCPAddress: fmt.Sprintf("127.0.0.1:%d", port+1),
		}
		if err = s.Start(); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

func packetCount(pictures [][]*rtp.Packet) int {
	n := 0
	for _, p := range pictures {
		n += len(p)
	}
	return n
}

func (c *fakeCamera) address(credentials, path string) string {
	return fmt.Sprintf("rtsp://%s%s%s", credentials, c.server.NetListener().Addr(), path)
}

// serveCoded serves access units.
func serveCoded(t testing.TB, c codec, units [][][]byte) *fakeCamera {
	t.Helper()
	var f format.Format
	var encode func([][]byte) ([]*rtp.Packet, error)
	if c.name == "H264" {
		avc := &format.H264{PayloadTyp: 96, PacketizationMode: 1}
		e, err := avc.CreateEncoder()
		if err != nil {
			t.Fatal(err)
		}
		f, encode = avc, e.Encode
	} else {
		hevc := &format.H265{PayloadTyp: 96}
		e, err := hevc.CreateEncoder()
		if err != nil {
			t.Fatal(err)
		}
		f, encode = hevc, e.Encode
	}
	pictures := make([][]*rtp.Packet, len(units))
	for i, u := range units {
		packets, err := encode(u)
		if err != nil {
			t.Fatal(err)
		}
		pictures[i] = packets
	}
	return serve(t, f, pictures)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
