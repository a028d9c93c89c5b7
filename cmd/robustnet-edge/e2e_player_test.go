package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/edge/overlay"
)

// stampRows is the height that a time stamp takes at most.
const stampRows = 16

// picture is what a test keeps of a frame that a player showed.
type picture struct {
	arrived  time.Time
	captured time.Time // from the stamp drawn on it
	stamped  bool
	darkest  byte // of the luma below the stamp
	lightest byte
	digest   uint64 // of the luma below the stamp
}

// player is ffmpeg showing a stream.
type player struct {
	t        *testing.T
	name     string
	pictures chan picture
	stop     func() (complaint string)
}

// play starts ffmpeg on a stream whose pictures have the given size. It plays until stop,
// which the end of the test calls, too.
func play(t *testing.T, url, transport string, width, height int) *player {
	t.Helper()
	needTool(t, "ffmpeg")
	ctx, cancel := context.WithCancel(context.Background())
	// Decoding in several threads delays pictures by as many. With the time base that ffmpeg
	// derives from the frame rate, it complains of two pictures in one interval.
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin",
		"-fflags", "nobuffer", "-flags", "low_delay", "-threads", "1", "-probesize", "32", "-analyzeduration", "0",
		"-rtsp_transport", transport, "-i", url,
		"-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-pix_fmt", "gray", "-flush_packets", "1", "-f", "rawvideo", "pipe:1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, name: transport, pictures: make(chan picture, 4096)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.pictures)
		readPictures(stdout, width, height, func(next picture) { p.pictures <- next })
	}()
	p.stop = func() string {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed
		return stderr.String()
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// readPictures passes the pictures of a raw grey video on until it ends.
func readPictures(r io.Reader, width, height int, show func(picture)) {
	luma := make([]byte, width*height)
	seed := maphash.MakeSeed()
	for {
		if _, err := io.ReadFull(r, luma); err != nil {
			return
		}
		p := picture{arrived: time.Now()}
		p.captured, p.stamped = overlay.ReadStamp(luma, width, width, p.arrived)
		rest := luma[stampRows*width:]
		p.darkest, p.lightest = slices.Min(rest), slices.Max(rest)
		p.digest = maphash.Bytes(seed, rest)
		show(p)
	}
}

// take returns the next n pictures.
func (p *player) take(n int) []picture {
	p.t.Helper()
	deadline := time.After(patience)
	var taken []picture
	for len(taken) < n {
		select {
		case next, ok := <-p.pictures:
			if !ok {
				p.t.Fatalf("player over %s ended after %d pictures: %s", p.name, len(taken), p.stop())
			}
			taken = append(taken, next)
		case <-deadline:
			p.t.Fatalf("player over %s showed %d pictures within %v, want %d", p.name, len(taken), patience, n)
		}
	}
	return taken
}

// mediaInfo is what ffprobe says of a file's or stream's one video track.
type mediaInfo struct {
	Codec  string `json:"codec_name"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Rate   string `json:"avg_frame_rate"` // a fraction
	Frames string `json:"nb_read_frames"` // a number, with -count_frames
}

func probe(t *testing.T, args ...string) mediaInfo {
	t.Helper()
	text := tool(t, "ffprobe", append([]string{"-v", "error", "-show_streams", "-of", "json"}, args...)...)
	var answer struct {
		Streams []mediaInfo `json:"streams"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("ffprobe wrote %q: %v", text, err)
	}
	if len(answer.Streams) != 1 {
		t.Fatalf("ffprobe %q: %d tracks, want 1", args, len(answer.Streams))
	}
	return answer.Streams[0]
}

// checkVideo decodes a file from start to end, which must go without any complaint, and
// checks codec, size and number of frames; at least one frame with want 0. It returns what
// ffprobe says of the file.
func checkVideo(t *testing.T, path string, width, height, want int) mediaInfo {
	t.Helper()
	if complaint := decodeAll(t, path); complaint != "" {
		t.Errorf("ffmpeg on %s: %s", path, complaint)
	}
	got := probe(t, "-count_frames", path)
	if got.Codec != "h264" || got.Width != width || got.Height != height {
		t.Errorf("%s holds %s of %d×%d, want h264 of %d×%d", path, got.Codec, got.Width, got.Height, width, height)
	}
	switch {
	case want > 0 && got.Frames != fmt.Sprint(want):
		t.Errorf("%s has %s frames, want %d", path, got.Frames, want)
	case got.Frames == "" || got.Frames == "0":
		t.Errorf("%s has no frames", path)
	}
	return got
}

func decodeAll(t *testing.T, path string) (complaint string) {
	t.Helper()
	needTool(t, "ffmpeg")
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "warning", "-nostdin", "-xerror", "-i", path, "-f", "null", "-")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		out = fmt.Appendf(out, "%v", err)
	}
	return strings.TrimSpace(string(out))
}
