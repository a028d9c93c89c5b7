package stream

import (
	"fmt"
	"sync"
	"testing"
)

// play decodes frames pictures with ffmpeg and returns the last of them as I420.
func play(t *testing.T, url, transport string, frames, width, height int) []byte {
	t.Helper()
	raw := tool(t, "ffmpeg", "-nostdin", "-rtsp_transport", transport, "-i", url,
		"-frames:v", fmt.Sprint(frames), "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1")
	size := width * height * 3 / 2
	if len(raw) != frames*size {
		t.Errorf("%s over %s: decoded %d bytes, want %d pictures of %d", url, transport, len(raw), frames, size)
		return make([]byte, size)
	}
	return raw[len(raw)-size:]
}

func TestPlayersSeeThePicture(t *testing.T) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	feed(t, s, o)
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
	if got := s.Stats().BytesSent; got == 0 {
		t.Error("Stats().BytesSent = 0 after three players")
	}
}

func TestTwoPlayersAtOnce(t *testing.T) {
	o := smallOptions()
	s, _ := serve(t, ServerOptions{RTPPort: freeRTPPort(t)})
	feed(t, s, o)
	var players sync.WaitGroup
	for _, transport := range []string{"tcp", "udp"} {
		players.Go(func() {
			checkPattern(t, play(t, s.URL(), transport, 30, o.Width, o.Height), o.Width, o.Height)
		})
	}
	eventually(t, "both play", func() bool { st := s.Stats(); return st.ViewersTCP == 1 && st.ViewersUDP == 1 })
	players.Wait()
}
