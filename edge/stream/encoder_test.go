package stream

import (
	"errors"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEncoderRefusesOptions(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*EncoderOptions)
		want   string
	}{
		{"odd width", func(o *EncoderOptions) { o.Width = 321 }, "even"},
		{"odd height", func(o *EncoderOptions) { o.Height = 241 }, "even"},
		{"no size", func(o *EncoderOptions) { o.Width, o.Height = 0, 0 }, "0×0"},
		{"negative height", func(o *EncoderOptions) { o.Height = -240 }, "320×-240"},
		{"enormous", func(o *EncoderOptions) { o.Width = math.MaxInt }, "16 to 8192"},
		{"no rate", func(o *EncoderOptions) { o.FPS = 0 }, "per second"},
		{"rate not a number", func(o *EncoderOptions) { o.FPS = math.NaN() }, "per second"},
		{"no bit rate", func(o *EncoderOptions) { o.BitrateKbps = 0 }, "kbit/s"},
		{"no key interval", func(o *EncoderOptions) { o.KeyInterval = 0 }, "key frame interval"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := smallOptions()
			test.change(&o)
			e, err := BuiltIn().New(o)
			if err == nil {
				e.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("BuiltIn().New(%+v): got error %v, want one with %q", o, err, test.want)
			}
		})
	}
}

func TestEncoderRefusesPictures(t *testing.T) { eachEncoder(t, testRefusesPictures) }

func testRefusesPictures(t *testing.T, f EncoderFactory) {
	o := smallOptions()
	e := mustEncoder(t, f, o)
	good := func() *image.YCbCr { return newPattern(o.Width, o.Height).next() }
	for _, test := range []struct {
		name string
		img  func() *image.YCbCr
		want string
	}{
		{"none", func() *image.YCbCr { return nil }, "no picture"},
		{"too small", func() *image.YCbCr { return newPattern(160, 120).next() }, "160×120"},
		{"4:4:4", func() *image.YCbCr {
			return image.NewYCbCr(image.Rect(0, 0, o.Width, o.Height), image.YCbCrSubsampleRatio444)
		}, "4:2:0"},
		{"part of a larger one", func() *image.YCbCr {
			return newPattern(640, 480).next().SubImage(image.Rect(0, 0, o.Width, o.Height)).(*image.YCbCr)
		}, "padding"},
		{"short planes", func() *image.YCbCr { img := good(); img.Cr = img.Cr[:10]; return img }, "at least"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := e.Encode(test.img(), false); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Encode: got error %v, want one with %q", err, test.want)
			}
		})
	}
	if au, err := e.Encode(good(), false); err != nil || !au.Key {
		t.Errorf("first good picture after bad ones: error %v, key %t, want a key frame", err, au.Key)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := e.Encode(good(), false); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Encode after Close: got %v, want os.ErrClosed", err)
	}
}

func TestKeyFramesComeRegularlyAndOnDemand(t *testing.T) { eachEncoder(t, testKeyFrames) }

func testKeyFrames(t *testing.T, f EncoderFactory) {
	o := smallOptions()
	o.KeyInterval = 400 * time.Millisecond // 12 pictures
	e, p := mustEncoder(t, f, o), newPattern(o.Width, o.Height)
	for i := range 40 {
		au, err := e.Encode(p.next(), i == 15)
		if err != nil {
			t.Fatal(err)
		}
		// Regular key frames are counted from the last key frame.
		want := i == 0 || i == 12 || i == 15 || i == 27 || i == 39
		if f.Name() == "openh264" {
			want = want && i <= 15 || au.Key // openh264 counts on from its own grid
		}
		if au.Key != want {
			t.Errorf("picture %d: key %t, want %t", i, au.Key, want)
		}
		if sps, pps := au.ParameterSets(); (sps != nil && pps != nil) != au.Key {
			t.Errorf("picture %d: key %t, but parameter sets of %d and %d bytes", i, au.Key, len(sps), len(pps))
		}
	}
}

// noise makes pictures that no encoder can make small: a moving texture.
func noise(width, height, count int) []*image.YCbCr {
	random := rand.New(rand.NewPCG(1, 2))
	texture := make([]byte, (width+count*4)*height)
	for i := range texture {
		texture[i] = byte(96 + random.IntN(64))
	}
	pictures := make([]*image.YCbCr, count)
	for n := range pictures {
		img := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
		for y := range height {
			from := y*(width+count*4) + n*4
			copy(img.Y[y*width:][:width], texture[from:])
			for x := 0; x < width; x += 3 {
				img.Y[y*width+x] += byte(random.IntN(16))
			}
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = 120, 136
		}
		pictures[n] = img
	}
	return pictures
}

func TestBitRateIsHeldAtAnyFrameRate(t *testing.T) { eachEncoder(t, testBitRate) }

func testBitRate(t *testing.T, f EncoderFactory) {
	pictures := noise(320, 240, 30)
	for _, test := range []struct {
		name string
		fps  float64
	}{{"30 fps", 30}, {"10 fps", 10}, {"7.5 fps", 7.5}} {
		t.Run(test.name, func(t *testing.T) {
			o := smallOptions()
			o.FPS, o.KeyInterval = test.fps, 2*time.Second
			e, path := mustEncoder(t, f, o), filepath.Join(t.TempDir(), "out.mp4")
			r := mustRecorder(t, path)
			for i := range int(20 * test.fps) {
				au, err := e.Encode(pictures[i%len(pictures)], false)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Write(au, time.Duration(float64(i)/test.fps*float64(time.Second))); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			got, want := seconds(t, probe(t, path).Format.BitRate)/1000, float64(o.BitrateKbps)
			t.Logf("%s at %v fps: %.0f kbit/s of %.0f asked for", f.Name(), test.fps, got, want)
			if got < 0.8*want || got > 1.2*want {
				t.Errorf("ffprobe finds %.0f kbit/s, want %.0f within 20 %%", got, want)
			}
		})
	}
}

func TestEncodeAllocatesOnlyInTheLibrary(t *testing.T) {
	o := smallOptions()
	e, img := mustEncoder(t, BuiltIn(), o), newPattern(o.Width, o.Height).next()
	ours := testing.AllocsPerRun(50, func() {
		if _, err := e.Encode(img, false); err != nil {
			t.Fatal(err)
		}
	})
	l := e.backend.(*library)
	l.picture = img
	theirs := testing.AllocsPerRun(50, func() {
		if _, _, err := l.encoder.Read(); err != nil {
			t.Fatal(err)
		}
	})
	if ours > theirs {
		t.Errorf("Encode allocates %v times per picture, the library alone %v", ours, theirs)
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, find := range map[string]func(testing.TB) EncoderFactory{
		EncoderName(): func(testing.TB) EncoderFactory { return BuiltIn() }, "gst": softwareElement,
	} {
		b.Run(name, func(b *testing.B) {
			const width, height = 1280, 720
			pictures := noise(width, height, 16)
			e := mustEncoder(b, find(b), EncoderOptions{Width: width, Height: height, FPS: 30, BitrateKbps: 4000, KeyInterval: 2 * time.Second})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := e.Encode(pictures[i%len(pictures)], false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/frame")
		})
	}
}
