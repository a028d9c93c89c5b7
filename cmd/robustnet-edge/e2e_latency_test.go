package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"

	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// ffmpeg shows a live picture only when later ones have come. What the daemon itself takes
// shows at the player's socket: access units are kept with the time of their arrival and
// decoded afterwards, for the stamps drawn on them.
func TestLatencyAtTheSocket(t *testing.T) {
	const width, height, wanted = 640, 360, 30
	d := start(t, "--camera", fmt.Sprintf("synthetic:?size=%dx%d&fps=30", width, height), "--stamp",
		"--model", writeModel(t, trttest.Options{}), "--rtp-port", fmt.Sprint(freeRTPPort(t)))
	for name, protocol := range map[string]gortsplib.Protocol{"tcp": gortsplib.ProtocolTCP, "udp": gortsplib.ProtocolUDP} {
		video, arrived := receive(t, d.rtsp, protocol, wanted)
		var shown []picture
		readPictures(bytes.NewReader(decodeGray(t, video)), width, height, func(p picture) {
			if len(shown) < len(arrived) {
				p.arrived = arrived[len(shown)]
			}
			shown = append(shown, p)
		})
		if len(shown) != len(arrived) {
			t.Errorf("over %s: %d access units decode to %d pictures", name, len(arrived), len(shown))
		}
		checkPictures(t, name+" to the socket", shown)
	}
	d.stop()
}

// receive plays a stream and returns so many access units, with the times at which they
// were complete. The first is a key frame.
func receive(t *testing.T, url string, protocol gortsplib.Protocol, wanted int) (annexB []byte, arrived []time.Time) {
	t.Helper()
	type unit struct {
		nalus [][]byte
		at    time.Time
	}
	u, err := base.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &protocol}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, _, err := client.Describe(u)
	if err != nil {
		t.Fatal(err)
	}
	var track *format.H264
	media := session.FindFormat(&track)
	if media == nil {
		t.Fatalf("%s has no H.264 track", url)
	}
	if _, err := client.Setup(session.BaseURL, media, 0, 0); err != nil {
		t.Fatal(err)
	}
	decoder, err := track.CreateDecoder()
	if err != nil {
		t.Fatal(err)
	}
	units := make(chan unit, 1024)
	client.OnPacketRTP(media, track, func(packet *rtp.Packet) {
		if nalus, err := decoder.Decode(packet); err == nil { // an error asks for more packets
			units <- unit{nalus, time.Now()}
		}
	})
	if _, err := client.Play(nil); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for len(arrived) < wanted {
		select {
		case next := <-units:
			if len(arrived) == 0 && !h264.IsRandomAccess(next.nalus) {
				continue
			}
			code, err := h264.AnnexB(next.nalus).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			annexB, arrived = append(annexB, code...), append(arrived, next.at)
		case <-deadline:
			t.Fatalf("%d access units came within %v, want %d", len(arrived), patience, wanted)
		}
	}
	return annexB, arrived
}

// decodeGray returns the luma of every picture of an H.264 stream.
func decodeGray(t *testing.T, annexB []byte) []byte {
	t.Helper()
	needTool(t, "ffmpeg")
	path := writeFile(t, "stream.h264", annexB)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-nostdin", "-f", "h264", "-i", path,
		"-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	luma, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("ffmpeg on %s: %v: %s", filepath.Base(path), err, &stderr)
	}
	return luma
}
