package rtsp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/internal/tail"
)

// Each access unit must come out as a picture without the next one having to go in, or the
// program would always be one frame late.
func TestDecoderHoldsNothingBack(t *testing.T) {
	for _, c := range []codec{codecH264(), codecH265()} {
		t.Run(c.name, func(t *testing.T) {
			units := encode(t, c, bars, "-g", "10", "-tune", "zerolatency")
			path, err := findFFmpeg()
			if err != nil {
				t.Fatal(err)
			}
			d, err := startDecoder(path, c, 350, 200)
			if err != nil {
				t.Fatal(err)
			}
			stalled := time.AfterFunc(patience, d.kill)
			defer func() {
				stalled.Stop()
				d.kill()
				t.Log(d.wait())
			}()
			// FFmpeg looks at the first few before it starts.
			const ahead = 2
			for i, u := range units {
				if err := d.write(u, stamp{pts: time.Duration(i)}); err != nil {
					t.Fatal(err)
				}
				if i < ahead {
					continue
				}
				for range map[bool]int{true: ahead + 1, false: 1}[i == ahead] {
					f, err := d.read()
					if err != nil {
						t.Fatalf("no picture for access unit %d: %v", i, err)
					}
					checkBars(t, f)
					if f.PTS > time.Duration(i) {
						t.Errorf("picture %d is stamped %d", i, f.PTS)
					}
					f.Release()
				}
			}
		})
	}
}

func TestStampsFollowPresentation(t *testing.T) {
	var s stamps
	for _, pts := range []time.Duration{0, 3, 1, 2} { // decoding order with B-frames
		s.push(stamp{pts: pts})
	}
	var got []time.Duration
	for range 4 {
		got = append(got, s.pop().pts)
	}
	if want := []time.Duration{0, 1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("stamps came out as %v, want %v", got, want)
	}
	if got := s.pop(); got.pts != 3 || got.arrived.IsZero() {
		t.Errorf("without a stamp, a picture has PTS %d at %v; want that of the one before, now", got.pts, got.arrived)
	}
}

// A decoder that swallows pictures must not leave the others with ever older stamps.
func TestStampsForgetLostPictures(t *testing.T) {
	for name, tc := range map[string]struct {
		swap   time.Duration // 1: pairs are sent in the wrong order
		newest time.Duration // how far behind a stamp may stay
	}{"in order": {0, 0}, "reordered": {1, maxReorder + 1}} {
		var s stamps
		var pts, lag time.Duration
		for ; pts < 100; pts++ { // lost
			s.push(stamp{pts: pts ^ tc.swap})
		}
		for ; pts < 100+4*resyncAfter; pts++ {
			s.push(stamp{pts: pts ^ tc.swap})
			lag = pts - s.pop().pts
		}
		if lag > tc.newest || lag < -1 {
			t.Errorf("%s: pictures are still stamped %d too old, want at most %d", name, lag, tc.newest)
		}
	}
	var s stamps
	for pts := range time.Duration(10 * maxPending) {
		s.push(stamp{pts: pts})
	}
	if len(s.queue) != maxPending {
		t.Errorf("%d stamps are kept for a decoder that gives nothing, want %d", len(s.queue), maxPending)
	}
}

func TestTailKeepsLastLine(t *testing.T) {
	e := complaints{tail.New(complaintBytes)}
	if got := e.note(); got != "" {
		t.Errorf("note of nothing = %q", got)
	}
	for range 100 {
		if n, err := e.Write([]byte("a line of complaint\n")); n != 20 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if n, err := e.Write(append(make([]byte, 5*complaintBytes), "\nthe last\n"...)); n != 5*complaintBytes+10 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if got, want := e.note(), " (ffmpeg: the last)"; got != want || len(e.Bytes()) > complaintBytes {
		t.Errorf("note = %q with %d bytes kept, want %q and at most %d", got, len(e.Bytes()), want, complaintBytes)
	}
}

// BenchmarkDecode720p reports how long one access unit takes from being written to the picture.
func BenchmarkDecode720p(b *testing.B) {
	c := codecH264()
	units := encode(b, c, "testsrc2=size=1280x720:rate=30:duration=2", "-g", "30", "-tune", "zerolatency")
	path, err := findFFmpeg()
	if err != nil {
		b.Fatal(err)
	}
	d, err := startDecoder(path, c, 1280, 720)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		d.kill()
		b.Log(d.wait())
	}()
	i := 0
	step := func(read bool) {
		if err := d.write(units[i%len(units)], stamp{arrived: time.Now(), pts: time.Duration(i)}); err != nil {
			b.Fatal(err)
		}
		if i++; !read {
			return
		}
		f, err := d.read()
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
	for i := range 10 {
		step(i >= 2)
	}
	for range 2 { // take what was sent ahead
		f, err := d.read()
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
	b.ReportAllocs()
	for b.Loop() {
		step(true)
	}
}

// OpenCV ends the program over a JPEG that claims to be huge.
func TestHugeJPEGIsRefused(t *testing.T) {
	data := ffmpeg(t, "-f", "lavfi", "-i", "color=orange:size=32x16", "-frames:v", "1", "-c:v", "mjpeg", "-f", "mjpeg", "-")
	m, err := decodeJPEG(bytes.NewReader(data), data)
	if err != nil || m.Cols() != 32 || m.Rows() != 16 {
		t.Errorf("decodeJPEG = %d×%d, %v; want 32×16", m.Cols(), m.Rows(), err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	sof := bytes.Index(data, []byte{0xff, 0xc0}) // ITU-T T.81 section B.2.2: the height is 5 bytes on
	binary.BigEndian.PutUint32(data[sof+5:], 40000<<16|40000)
	if _, err := decodeJPEG(bytes.NewReader(data), data); err == nil || !strings.Contains(err.Error(), "40000×40000") {
		t.Errorf("decodeJPEG of a huge JPEG = %v, want an error that names its size", err)
	}
}
