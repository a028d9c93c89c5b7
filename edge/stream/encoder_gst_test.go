package stream

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch/gsttest"
)

// plain makes a picture of one grey.
func plain(o EncoderOptions, luma byte) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, o.Width, o.Height), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = luma
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 100, 150
	}
	return img
}

// Each Encode returns the one access unit of the picture that it was given, whatever the
// width: nothing is held back, split or put together. ffmpeg judges.
func TestGStreamerAccessUnits(t *testing.T) {
	f := softwareElement(t)
	for _, size := range [][2]int{{320, 240}, {322, 242}, {18, 16}, {314, 178}} {
		t.Run(fmt.Sprintf("%d×%d", size[0], size[1]), func(t *testing.T) {
			o := smallOptions()
			o.Width, o.Height, o.KeyInterval = size[0], size[1], time.Second/3 // 10 pictures
			e := mustEncoder(t, f, o)
			const count = 25
			var stream []byte
			for i := range count {
				au, err := e.Encode(plain(o, byte(20+8*i)), i == 7)
				if err != nil {
					t.Fatal(err)
				}
				if want := i == 0 || i == 7 || i == 17; au.Key != want {
					t.Errorf("picture %d: key %t, want %t", i, au.Key, want)
				}
				pictures := 0
				for n, nalu := range au.NALUs {
					switch naluType(nalu) {
					case h264.NALUTypeIDR, h264.NALUTypeNonIDR:
						// The first slice of a picture begins at macroblock 0, which is coded as one bit, set.
						if nalu[1]&0x80 != 0 {
							pictures++
						}
					case h264.NALUTypeSPS:
						if n != 0 {
							t.Errorf("picture %d: the parameter sets come as NAL unit %d, want them first", i, n)
						}
					}
				}
				if pictures != 1 {
					t.Errorf("access unit %d holds %d pictures, want 1", i, pictures)
				}
				stream = append(stream, au.AnnexB...)
			}
			path := filepath.Join(t.TempDir(), "stream.h264")
			if err := os.WriteFile(path, stream, 0o600); err != nil {
				t.Fatal(err)
			}
			raw := tool(t, "ffmpeg", "-f", "h264", "-i", path, "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1")
			luma := o.Width * o.Height
			picture := luma + luma/2
			if len(raw) != count*picture {
				t.Fatalf("ffmpeg decodes %d bytes, want %d pictures of %d", len(raw), count, picture)
			}
			for i := range count {
				p := raw[i*picture:]
				for _, at := range []struct {
					name      string
					got, want byte
				}{
					{"luma", p[luma/2], byte(20 + 8*i)}, {"last luma", p[luma-1], byte(20 + 8*i)},
					{"Cb", p[luma], 100}, {"last Cb", p[luma*5/4-1], 100}, {"Cr", p[luma*5/4], 150}, {"last Cr", p[picture-1], 150},
				} {
					if d := int(at.got) - int(at.want); d < -3 || d > 3 {
						t.Errorf("picture %d: %s is %d, want %d within 3", i, at.name, at.got, at.want)
					}
				}
			}
		})
	}
}

// An access unit comes before the next picture is due. Nothing but the time between two
// pictures bounds it, so that a slow machine fails only when it cannot keep up.
func TestGStreamerLatency(t *testing.T) {
	o := EncoderOptions{Width: 1280, Height: 720, FPS: 10, BitrateKbps: 4000, KeyInterval: 2 * time.Second}
	e := mustEncoder(t, softwareElement(t), o)
	pictures := noise(o.Width, o.Height, 8)
	interval := time.Duration(float64(time.Second) / o.FPS)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var took []time.Duration
	for i := range 16 {
		<-tick.C
		begun := time.Now()
		if _, err := e.Encode(pictures[i%len(pictures)], i == 10); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	t.Logf("first picture %v, with a key frame asked for %v", took[0], took[10])
	steady := slices.Delete(took[1:], 9, 10)
	slices.Sort(steady)
	median := steady[len(steady)/2]
	t.Logf("median %v", median)
	if median >= interval {
		t.Errorf("half of the access units took %v or more, want less than the %v between two pictures", median, interval)
	}
}

// A process that dies costs a picture; the next one begins a new process with a key frame.
func TestGStreamerRestarts(t *testing.T) {
	before := len(gsttest.Children(t, os.Getpid()))
	o := smallOptions()
	e := mustEncoder(t, softwareElement(t), o)
	p := newPattern(o.Width, o.Height)
	for range 2 {
		for i := range 3 {
			if au, err := e.Encode(p.next(), false); err != nil || au.Key != (i == 0) {
				t.Fatalf("picture %d: key %t, %v; want a key frame first", i, au.Key, err)
			}
		}
		pids := gsttest.Children(t, os.Getpid())
		if len(pids) != before+1 {
			t.Fatalf("%d processes, want %d", len(pids), before+1)
		}
		if err := syscall.Kill(pids[len(pids)-1], syscall.SIGSEGV); err != nil {
			t.Fatal(err)
		}
		_, err := e.Encode(p.next(), false)
		for err == nil { // the signal is on its way
			_, err = e.Encode(p.next(), false)
		}
		if !errors.Is(err, ErrEncoderLost) || !strings.Contains(err.Error(), "signal: segmentation fault") || !strings.Contains(err.Error(), "--encoder chooses another") {
			t.Errorf("Encode after a crash: %v; want ErrEncoderLost with the signal and what to do", err)
		}
		if got := len(gsttest.Children(t, os.Getpid())); got != before {
			t.Errorf("%d processes after the crash, want %d", got, before)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if got := len(gsttest.Children(t, os.Getpid())); got != before {
		t.Errorf("%d processes after Close, want %d", got, before)
	}
}

// What fails while it encodes says why.
func TestGStreamerFault(t *testing.T) {
	softwareElement(t)
	o := smallOptions()
	b, err := openPipeline(o, "identity error-after=3 ! x264enc tune=zerolatency")
	if err != nil {
		t.Fatal(err)
	}
	e := &Encoder{options: o, name: "gst test", backend: b}
	defer e.Close()
	p := newPattern(o.Width, o.Height)
	for err == nil {
		_, err = e.Encode(p.next(), false)
	}
	if !errors.Is(err, ErrEncoderLost) || !strings.Contains(err.Error(), "gst test") || !strings.Contains(err.Error(), "identity0: Failed after iterations") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Encode: %v; want one sentence with the encoder, the element and its reason", err)
	}
}

// An encoder that hangs must hold neither a program that stops nor Close.
func TestGStreamerHangs(t *testing.T) {
	before := len(gsttest.Children(t, os.Getpid()))
	gsttest.Script(t, "gst-launch-1.0", "trap '' INT; exec sleep 600")
	o := smallOptions()
	o.Width, o.Height = 1280, 720 // more than a pipe holds
	e := mustEncoder(t, nvidia().factory(), o)
	timer := time.AfterFunc(50*time.Millisecond, e.Interrupt)
	defer timer.Stop()
	begun := time.Now()
	for range 2 { // and it stays interrupted
		if _, err := e.Encode(plain(o, 0), false); !errors.Is(err, ErrEncoderLost) || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("Encode: %v, want that it was interrupted", err)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > firstPicture/2 {
		t.Errorf("two interrupted pictures and Close took %v", took)
	}
	if got := len(gsttest.Children(t, os.Getpid())); got != before {
		t.Errorf("%d processes after Close, want %d", got, before)
	}
}

// A new process that cannot be had is a failure of the encoder as well, from which a program may
// recover.
func TestGStreamerCannotRestart(t *testing.T) {
	f := softwareElement(t)
	o := smallOptions()
	e := mustEncoder(t, f, o)
	if _, err := e.Encode(plain(o, 0), false); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := e.Encode(plain(o, 0), true); !errors.Is(err, ErrEncoderLost) || !strings.Contains(err.Error(), "gstreamer1.0-tools") {
		t.Errorf("Encode: %v, want ErrEncoderLost with the reason", err)
	}
}

// An encoder that waits for later pictures cannot be used live, and the error says so.
func TestGStreamerHoldsBack(t *testing.T) {
	softwareElement(t)
	o := smallOptions()
	b, err := openPipeline(o, "x264enc")
	if err != nil {
		t.Fatal(err)
	}
	e := &Encoder{options: o, name: "gst test", backend: b}
	defer e.Close()
	b.(*pipeline).begun = true // the first picture would have longer
	if _, err := e.Encode(plain(o, 0), false); !errors.Is(err, ErrEncoderLost) || !strings.Contains(err.Error(), "within 2s; it hangs, or it holds pictures back") {
		t.Errorf("Encode: %v, want that pictures are held back", err)
	}
}

// Players must not take the colours for others than the pictures have, whatever their size.
func TestGStreamerColours(t *testing.T) {
	f := softwareElement(t)
	for _, size := range [][2]int{{320, 240}, {320, 720}, {322, 720}, {320, 1080}} {
		o := smallOptions()
		o.Width, o.Height = size[0], size[1]
		au, err := mustEncoder(t, f, o).Encode(plain(o, 100), false)
		if err != nil {
			t.Fatal(err)
		}
		sequence, _ := au.ParameterSets()
		var sps h264.SPS
		if err := sps.Unmarshal(sequence); err != nil {
			t.Fatal(err)
		}
		const smpte170M = 6 // BT.601 in ITU-T H.264, table E-5
		if v := sps.VUI; v == nil || v.VideoFullRangeFlag || v.MatrixCoefficients != smpte170M {
			t.Errorf("%v pixels: colours are %+v, want those of BT.601 in the limited range", size, v)
		}
	}
}

func TestGStreamerAllocates(t *testing.T) {
	o := smallOptions()
	e, img := mustEncoder(t, softwareElement(t), o), plain(smallOptions(), 100)
	if _, err := e.Encode(img, false); err != nil { // the largest comes first
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, func() {
		if _, err := e.Encode(img, false); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Encode allocates %v times per picture, want 0", n)
	}
}

func TestFindEncoder(t *testing.T) {
	if f, err := FindEncoder(t.Context(), encoder.Kind(EncoderName()), ""); err != nil || f.Name() != EncoderName() || f.Kind() != encoder.Kind(EncoderName()) {
		t.Errorf("the library: %q, %v", f.Name(), err)
	}
	other := encoder.OpenH264
	if EncoderName() == "openh264" {
		other = encoder.X264
	}
	if _, err := FindEncoder(t.Context(), other, ""); err == nil || !strings.Contains(err.Error(), "built with "+EncoderName()) || !strings.Contains(err.Error(), "TAGS=") {
		t.Errorf("the other library: %v; want which one there is, and how to build with the other", err)
	}
	if _, err := FindEncoder(t.Context(), "hevc", ""); err == nil || !strings.Contains(err.Error(), "openh264") {
		t.Errorf("unknown kind: %v; want the known ones", err)
	}
}

// The choice between hardware and software, with scripts for machines that are not here.
func TestFindEncoderByMachine(t *testing.T) {
	const (
		has     = `case "$*" in *nvv4l2h264enc*) exit %d;; *x264enc*) exit %d;; esac; exit 1`
		works   = `exit 0`
		noNVENC = `case "$*" in *nvv4l2h264enc*) echo "ERROR: from element /GstPipeline:pipeline0/nvv4l2h264enc:enc: Cannot identify device '/dev/v4l2-nvenc'." >&2; exit 255;; esac; exit 0`
		nothing = `echo "WARNING: erroneous pipeline: no element \"h264parse\"" >&2; exit 1`
	)
	for name, test := range map[string]struct {
		inspect, launch  string
		auto, gst        string // names; "error: …" for one
		autoNote, gstHas string
	}{
		"Orin NX":         {fmt.Sprintf(has, 0, 0), works, "gst nvv4l2h264enc", "gst nvv4l2h264enc", "", ""},
		"Orin Nano":       {fmt.Sprintf(has, 0, 0), noNVENC, EncoderName(), "gst x264enc", "Cannot identify device '/dev/v4l2-nvenc'", "Cannot identify device"},
		"PC":              {fmt.Sprintf(has, 1, 0), works, EncoderName(), "gst x264enc", "", ""},
		"PC without ugly": {fmt.Sprintf(has, 1, 1), works, EncoderName(), "error: no element x264enc; install", "", ""},
		"inspector fails": {"echo broken >&2; exit 127", works, EncoderName(), "error: gst-inspect-1.0 ended: exit status 127 (broken)", "look for the element nvv4l2h264enc", ""},
		"without bad":     {fmt.Sprintf(has, 1, 0), nothing, EncoderName(), `error: no element "h264parse"`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			gsttest.Script(t, "gst-launch-1.0", test.launch)
			gsttest.Script(t, "gst-inspect-1.0", test.inspect)
			auto, err := FindEncoder(t.Context(), encoder.Auto, "")
			if err != nil || auto.Name() != test.auto || !strings.Contains(auto.Note(), test.autoNote) || (auto.Note() != "") != (test.autoNote != "") {
				t.Errorf("auto is %q, %v, note %q; want %q, note %q", auto.Name(), err, auto.Note(), test.auto, test.autoNote)
			}
			gst, err := FindEncoder(t.Context(), encoder.GStreamer, "")
			if want, fails := strings.CutPrefix(test.gst, "error: "); fails {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--encoder auto") {
					t.Errorf("gst is %q, %v; want an error with %q and what to do", gst.Name(), err, want)
				}
			} else if err != nil || gst.Name() != test.gst || !strings.Contains(gst.Note(), test.gstHas) || (gst.Note() != "") != (test.gstHas != "") {
				t.Errorf("gst is %q, %v, note %q; want %q, note %q", gst.Name(), err, gst.Note(), test.gst, test.gstHas)
			}
		})
	}
}

func TestFindEncoderWithoutGStreamer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if f, err := FindEncoder(t.Context(), encoder.Auto, ""); err != nil || f.Name() != EncoderName() || f.Note() != "" {
		t.Errorf("auto is %q, %v, note %q; want %s without a note", f.Name(), err, f.Note(), EncoderName())
	}
	if _, err := FindEncoder(t.Context(), encoder.GStreamer, ""); err == nil || !strings.Contains(err.Error(), "install the package gstreamer1.0-tools") {
		t.Errorf("gst: %v, want the missing package", err)
	}
}

// The user's own elements, as for hardware that this program does not know.
func TestEncoderPipeline(t *testing.T) {
	softwareElement(t)
	f, err := FindEncoder(t.Context(), encoder.GStreamer, "x264enc tune=zerolatency key-int-max=5")
	if err != nil {
		t.Fatal(err)
	}
	o := smallOptions()
	e, p := mustEncoder(t, f, o), newPattern(o.Width, o.Height)
	for i := range 7 {
		if au, err := e.Encode(p.next(), false); err != nil || au.Key != (i%5 == 0) {
			t.Errorf("picture %d: key %t, %v", i, au.Key, err)
		}
	}
	for pipeline, want := range map[string]string{
		"nosuchenc":         `no element "nosuchenc"`,
		"identity":          "could not link",
		"x264enc bitrate=x": `could not set property "bitrate"`,
	} {
		if _, err := FindEncoder(t.Context(), encoder.GStreamer, pipeline); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one sentence with %q", pipeline, err, want)
		}
	}
}

// What only a Jetson runs is at least written as meant.
func TestNVIDIAPipeline(t *testing.T) {
	o := EncoderOptions{Width: 1920, Height: 1080, FPS: 29.97, BitrateKbps: 4000, KeyInterval: 2 * time.Second}
	p := &pipeline{options: o, elements: nvidia().pipeline(o)}
	want := "fdsrc fd=0 blocksize=1048576 ! rawvideoparse format=i420 width=1920 height=1080 framerate=2997/100 colorimetry=bt601" +
		" ! nvvidconv ! video/x-raw(memory:NVMM),format=NV12" +
		" ! nvv4l2h264enc control-rate=1 bitrate=4000000 iframeinterval=60 idrinterval=60 insert-sps-pps=true preset-level=1 maxperf-enable=true" +
		" ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au" +
		" ! gdppay ! fdsink fd=3 sync=false async=false"
	if got := p.text(); got != want {
		t.Errorf("pipeline is\n%s\nwant\n%s", got, want)
	}
	odd := rawPictures(EncoderOptions{Width: 322, Height: 242, FPS: 25})
	if want := "plane-strides=<322,161,161> plane-offsets=<0,77924,97405>"; !strings.HasSuffix(odd, want) {
		t.Errorf("rows of 322 bytes: %s, want %s", odd, want)
	}
}
