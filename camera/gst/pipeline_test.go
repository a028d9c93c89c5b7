package gst

import (
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestPipelineOf(t *testing.T) {
	const memory = " ! video/x-raw(memory:NVMM),format=NV12,"
	for address, test := range map[string]struct {
		want camera.Want
		text string // without the delivery
	}{
		"csi://0": {camera.Want{}, "nvarguscamerasrc sensor-id=0" + memory + "width=1280,height=720,framerate=30/1 ! nvvidconv ! video/x-raw,format=BGRx"},
		"csi://1?sensor-mode=0": {camera.Want{Width: 641, Height: 361, FPS: 12.5},
			"nvarguscamerasrc sensor-id=1 sensor-mode=0" + memory + "width=640,height=360,framerate=25/2 ! nvvidconv ! video/x-raw,format=BGRx"},
		"csi://12?sensor-mode=3&width=3280&height=2464&fps=21&flip=6": {camera.Want{Width: 640, Height: 360, FPS: 30},
			"nvarguscamerasrc sensor-id=12 sensor-mode=3" + memory + "width=3280,height=2464,framerate=21/1 ! nvvidconv flip-method=6 ! video/x-raw,format=BGRx"},
		"csi://0?fps=29.97&flip=0": {camera.Want{Width: -1, Height: 5, FPS: -3},
			"nvarguscamerasrc sensor-id=0" + memory + "width=1280,height=720,framerate=2997/100 ! nvvidconv ! video/x-raw,format=BGRx"},
		"gst:videotestsrc": {camera.Want{Width: 640, Height: 360}, "videotestsrc"},
		"gst:v4l2src ! video/x-raw,width=640 ! appsink drop=true max-buffers=1": {camera.Want{}, "v4l2src ! video/x-raw,width=640"},
		`gst:filesrc location="a ! appsink" ! decodebin`:                        {camera.Want{}, `filesrc location="a ! appsink" ! decodebin`},
	} {
		uri, err := camera.ParseURI(address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pipelineOf(uri, test.want)
		if err != nil || got != test.text+delivery {
			t.Errorf("%s, wanted %+v:\n%s, %v\nwant\n%s", address, test.want, got, err, test.text+delivery)
		}
	}
	if !strings.HasPrefix(delivery, " ! queue leaky=downstream max-size-buffers=1 ") || !strings.Contains(delivery, " ! videoconvert ! video/x-raw,format=BGR ! ") {
		t.Errorf("the delivery is %q; want that the newest picture is kept and that it becomes BGR", delivery)
	}
	for _, pipeline := range []string{"appsink", "a ! appsink name=x ! b", "a ! appsink b. ! c"} {
		if got, err := pipelineOf(camera.URI{Scheme: "gst", Pipeline: pipeline}, camera.Want{}); err == nil {
			t.Errorf("%q becomes %q, want an error", pipeline, got)
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"a":               {"a"},
		"a!b ! c":         {"a", "b ", " c"},
		`a="!" ! b='!"!'`: {`a="!" `, ` b='!"!'`},
		`a=\! ! b="\"!"`:  {`a=\! `, ` b="\"!"`},
		`a="!`:            {`a="!`},
		`a\`:              {`a\`},
	} {
		if got := split(text); !slices.Equal(got, want) {
			t.Errorf("split(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a ! b", `a="!" ! b='!"!'`, `a=\! ! appsink`, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := strings.Join(split(s), "!"); got != s {
			t.Fatalf("split(%q), joined again, is %q", s, got)
		}
		if got, err := withoutAppsink(s); err == nil && !strings.HasPrefix(s, got) && !strings.HasPrefix(strings.TrimSpace(s), got) {
			t.Fatalf("withoutAppsink(%q) = %q, want a part of it", s, got)
		}
	})
}
