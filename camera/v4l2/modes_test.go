package v4l2

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
)

func mode(format string, w, h int, fps float64) Mode {
	return Mode{Format: format, Width: w, Height: h, FPS: fps}
}

func name(m Mode) string {
	return fmt.Sprintf("%s %dx%d@%g", m.Format, m.Width, m.Height, m.FPS)
}

func TestChooseMode(t *testing.T) {
	// A usual USB camera: raw is slow at high resolution.
	webcam := []Mode{
		mode("MJPEG", 1920, 1080, 30), mode("MJPEG", 1280, 720, 30), mode("MJPEG", 640, 480, 30),
		mode("YUYV", 1920, 1080, 5), mode("YUYV", 1280, 720, 10), mode("YUYV", 640, 480, 30),
		mode("YUYV", 640, 480, 15),
	}
	raw := []Mode{
		mode("YUYV", 320, 240, 60), mode("YUYV", 640, 480, 30), mode("YUYV", 640, 480, 60),
	}
	tests := map[string]struct {
		modes []Mode
		want  request
		mode  string
	}{
		"compressed because faster":   {webcam, request{width: 1280, height: 720, fps: 30}, "MJPEG 1280x720@30"},
		"raw at equal rate":           {webcam, request{width: 640, height: 480, fps: 30}, "YUYV 640x480@30"},
		"raw when slow is enough":     {webcam, request{width: 1280, height: 720, fps: 10}, "YUYV 1280x720@10"},
		"next size up":                {webcam, request{width: 1000, height: 700, fps: 30}, "MJPEG 1280x720@30"},
		"none large enough":           {webcam, request{width: 3840, height: 2160, fps: 30}, "MJPEG 1920x1080@30"},
		"only raw, too small":         {raw, request{width: 1280, height: 720, fps: 30}, "YUYV 640x480@30"},
		"no faster than wanted":       {raw, request{width: 640, height: 480, fps: 30}, "YUYV 640x480@30"},
		"as fast as wanted":           {raw, request{width: 640, height: 480, fps: 60}, "YUYV 640x480@60"},
		"faster if nothing else":      {raw, request{width: 320, height: 240, fps: 30}, "YUYV 320x240@60"},
		"only compressed":             {webcam[:3], request{width: 640, height: 480, fps: 30}, "MJPEG 640x480@30"},
		"29.97 equals 30":             {[]Mode{mode("MJPEG", 640, 480, 30), mode("YUYV", 640, 480, 29.97)}, request{width: 640, height: 480, fps: 30}, "YUYV 640x480@29.97"},
		"device lists no rates":       {[]Mode{mode("NV12", 1920, 1080, 0), mode("NV12", 1280, 720, 0)}, request{width: 1280, height: 720, fps: 30}, "NV12 1280x720@0"},
		"format insisted on":          {webcam, request{width: 1280, height: 720, fps: 30, format: "yuyv"}, "YUYV 1280x720@10"},
		"format by its kernel name":   {webcam, request{width: 640, height: 480, fps: 30, format: "MJPG"}, "MJPEG 640x480@30"},
		"size insisted on":            {webcam, request{width: 1920, height: 1080, fps: 5, exactSize: true}, "YUYV 1920x1080@5"},
		"cheapest of equals":          {[]Mode{mode("GREY", 640, 480, 30), mode("MJPEG", 640, 480, 30), mode("UYVY", 640, 480, 30), mode("YUYV", 640, 480, 30), mode("NV12", 640, 480, 30)}, request{width: 640, height: 480, fps: 30}, "NV12 640x480@30"},
		"colours before none":         {[]Mode{mode("GREY", 640, 480, 30), mode("MJPEG", 640, 480, 30)}, request{width: 640, height: 480, fps: 30}, "MJPEG 640x480@30"},
		"fast and large before slow":  {[]Mode{mode("YUYV", 1280, 720, 5), mode("MJPEG", 1920, 1080, 30)}, request{width: 1280, height: 720, fps: 30}, "MJPEG 1920x1080@30"},
		"portrait needs both lengths": {[]Mode{mode("YUYV", 1280, 720, 30), mode("YUYV", 1080, 1920, 30)}, request{width: 720, height: 1280, fps: 30}, "YUYV 1080x1920@30"},
	}
	for title, tc := range tests {
		got, err := chooseMode(tc.modes, []string{"Z16"}, tc.want)
		if err != nil || name(got) != tc.mode {
			t.Errorf("%s: chooseMode(%+v) = %s, %v; want %s", title, tc.want, name(got), err, tc.mode)
		}
	}
	for title, tc := range map[string]struct {
		modes []Mode
		want  request
		err   string
	}{
		"no modes":     {nil, request{}, "it has Z16"},
		"other format": {webcam, request{format: "NV12"}, "it has MJPEG 1920x1080 1280x720 640x480, YUYV 1920x1080 1280x720 640x480"},
		"unreadable":   {raw, request{format: "Y16"}, "format Y16 cannot be read; device has YUYV 640x480 320x240"},
		"other size":   {raw, request{width: 800, height: 600, exactSize: true}, "no size 800x600; it has YUYV 640x480 320x240"},
	} {
		if got, err := chooseMode(tc.modes, []string{"Z16"}, tc.want); err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: chooseMode = %s, %v; want an error with %q", title, name(got), err, tc.err)
		}
	}
}

// modesOf lists the modes of a fake driver.
func modesOf(t *testing.T, d *fakeDriver, want request) ([]Mode, []string) {
	t.Helper()
	dev, err := openDevice(newFake(t, map[string]*fakeDriver{"/dev/video0": d}), "/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer dev.close()
	modes, unreadable, err := dev.modes(want)
	if err != nil {
		t.Fatal(err)
	}
	return modes, unreadable
}

func names(modes []Mode) (all []string) {
	for _, m := range modes {
		all = append(all, name(m))
	}
	return all
}

func TestModes(t *testing.T) {
	want := request{width: 1000, height: 700, fps: 25}
	any15to60 := []intervals{{fraction{1, 60}, fraction{1, 15}, fraction{}}}
	within := sizes{span{32, 1920, 16}, span{16, 1080, 4}}
	for title, tc := range map[string]struct {
		driver     *fakeDriver
		modes      []string
		unreadable []string
	}{
		"lists": {&fakeDriver{formats: webcam()},
			[]string{"MJPEG 1280x720@30", "MJPEG 64x48@30", "YUYV 640x480@30", "YUYV 64x48@30"}, nil},
		"said twice": {&fakeDriver{formats: append(webcam()[1:], webcam()[1:]...)},
			[]string{"YUYV 640x480@30", "YUYV 64x48@30"}, nil},
		"unreadable": {&fakeDriver{formats: []fakeFormat{listed("H264", 30, [2]int{64, 48}), listed("Y16 ", 30, [2]int{64, 48}), listed("GREY", 9, [2]int{64, 48})}},
			[]string{"GREY 64x48@9"}, []string{"H264", "Y16"}},
		"bounds": {&fakeDriver{formats: []fakeFormat{{code: "NV12", sizes: []sizes{within}, intervals: any15to60}}},
			[]string{"NV12 1008x700@25", "NV12 1008x700@60", "NV12 1008x700@15", "NV12 640x480@25"}, nil},
		"continuous to an odd size": {&fakeDriver{formats: []fakeFormat{{code: "YUYV", sizes: []sizes{{span{33, 1001, 1}, span{33, 701, 1}}}}}},
			[]string{"YUYV 1000x700@0", "YUYV 640x480@0"}, nil},
		"steps of time": {&fakeDriver{formats: []fakeFormat{{code: "YUYV", sizes: []sizes{{single(64), single(48)}},
			intervals: []intervals{{fraction{10, 1000}, fraction{100, 1000}, fraction{15, 1000}}}}}},
			[]string{"YUYV 64x48@25", "YUYV 64x48@100", "YUYV 64x48@10"}, nil},
		"senseless times": {&fakeDriver{formats: []fakeFormat{{code: "YUYV", sizes: []sizes{{single(64), single(48)}},
			intervals: []intervals{{shortest: fraction{0, 30}, longest: fraction{0, 30}}, {shortest: fraction{1, 0}, longest: fraction{1, 0}}}}}},
			[]string{"YUYV 64x48@0"}, nil},
		"no list": {&fakeDriver{formats: []fakeFormat{{code: "YUYV"}}, now: layout{width: 320, height: 200}},
			[]string{"YUYV 320x200@0"}, nil},
		"nothing": {&fakeDriver{}, nil, nil},
	} {
		modes, unreadable := modesOf(t, tc.driver, want)
		got := names(modes)
		if title == "bounds" { // the usual sizes and the bounds follow
			got = got[:min(4, len(got))]
		}
		if !slices.Equal(got, tc.modes) || !slices.Equal(unreadable, tc.unreadable) {
			t.Errorf("%s: modes %v, unreadable %v; want %v, %v", title, got, unreadable, tc.modes, tc.unreadable)
		}
	}
}

// A driver that never ends a list must not be asked for ever.
func TestEndlessList(t *testing.T) {
	asked := 0
	if err := list("x", func(int) error { asked++; return nil }); err != nil || asked != maxEnumerated {
		t.Errorf("list = %v after %d questions, want %d", err, asked, maxEnumerated)
	}
}

func TestNearestInSpan(t *testing.T) {
	for n, want := range map[int]int{0: 10, 10: 10, 11: 18, 18: 18, 27: 34, 35: 34, 1000: 34} {
		if got := (span{10, 37, 8}).nearest(n); got != want {
			t.Errorf("nearest to %d = %d, want %d", n, got, want)
		}
	}
	if got := (span{10, 37, 0}).nearest(11); got != 11 {
		t.Errorf("nearest to 11 without steps = %d", got)
	}
}

// The driver may set another rate than it was asked for, or none.
func TestRates(t *testing.T) {
	for name, tc := range map[string]struct {
		driver *fakeDriver
		fps    float64
	}{
		"set":     {&fakeDriver{formats: webcam()}, 30},
		"refused": {&fakeDriver{formats: webcam(), fail: map[uintptr]error{doSetRate: syscall.EINVAL}}, 30},
		"no rate": {&fakeDriver{formats: []fakeFormat{{code: "YUYV", sizes: []sizes{{single(64), single(48)}}}}, noRate: true}, 0},
	} {
		src, err := openWith(t, newFake(t, map[string]*fakeDriver{"/dev/video0": tc.driver}), "/dev/video0", camera.Want{})
		if err != nil {
			t.Fatal(err)
		}
		if got := src.Info().FPS; got != tc.fps {
			t.Errorf("%s: %v frames per second, want %v", name, got, tc.fps)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}
