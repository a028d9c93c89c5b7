package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/v4l2"
	"github.com/robustnet-edge/robustnet/edge/doctor"
	"github.com/robustnet-edge/robustnet/internal/cli"
)

// someCameras are one that is ready, one that is busy and two that cannot be opened.
func someCameras() []v4l2.Camera {
	return []v4l2.Camera{
		{
			Path: "/dev/video0", ByID: "/dev/v4l/by-id/usb-Maker_Cam_AB_12_7-video-index0", Serial: "AB 12/7", Port: "1-2.1",
			Driver: "uvcvideo", Card: "Maker's Cam", State: v4l2.Ready, Unreadable: []string{"H264", "Z16"},
			Modes: []v4l2.Mode{
				{Format: "MJPEG", Width: 1920, Height: 1080, FPS: 30}, {Format: "MJPEG", Width: 1280, Height: 720, FPS: 30},
				{Format: "MJPEG", Width: 1280, Height: 720, FPS: 60}, {Format: "YUYV", Width: 640, Height: 480, FPS: 30000.0 / 1001},
			},
		},
		{Path: "/dev/video2", Port: "isp.0", Driver: "isp", State: v4l2.Busy, Problem: "open /dev/video2: busy; look who has it",
			Modes: []v4l2.Mode{{Format: "NV12", Width: 640, Height: 480}}},
		{Path: "/dev/video4", Card: "Locked", State: v4l2.Denied, Problem: "open /dev/video4: permission denied; join the group", Modes: []v4l2.Mode{}},
		{Path: "/dev/video6", State: v4l2.Faulty, Problem: "open /dev/video6: no such device or address", Modes: []v4l2.Mode{}},
	}
}

func TestCamerasGolden(t *testing.T) {
	for name, print := range map[string]func(io.Writer, []v4l2.Camera) error{
		"cameras.golden": printCameras, "cameras.json.golden": printCamerasJSON,
	} {
		var got bytes.Buffer
		if err := print(&got, someCameras()); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("output differs from %s (go test -update writes it)\ngot\n%s", file, got.String())
		}
	}
}

// What is there to be pasted must be an address.
func TestCamerasAddresses(t *testing.T) {
	var out bytes.Buffer
	if err := printCamerasJSON(&out, someCameras()); err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Path  string
		Modes []struct {
			Camera string
			FPS    float64
		}
	}
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		for _, m := range c.Modes {
			u, err := camera.ParseURI(m.Camera)
			if w, h := u.Size(); err != nil || u.Path != c.Path || w == 0 || h == 0 || m.FPS > 0 && u.FPS() == 0 {
				t.Errorf("%q is %+v, %v", m.Camera, u, err)
			}
		}
	}
	if got, want := byOption("serial", "it's 1"), `'v4l2:?serial=it%27s+1'`; got != want {
		t.Errorf("address by serial number %s, want %s", got, want)
	}
	if got := quoted("it's"); got != `'it'\''s'` {
		t.Errorf("quoted = %s", got)
	}
}

// On this machine, whatever it has, the command must list it.
func TestCamerasCommand(t *testing.T) {
	code, text, stderr := execute(t, "cameras")
	if code != cli.OK || text == "" {
		t.Errorf("exit code %d, %q, %q", code, text, stderr)
	}
	code, text, stderr = execute(t, "cameras", "--json")
	if code != cli.OK || !json.Valid([]byte(text)) || !strings.HasPrefix(text, "[") {
		t.Errorf("exit code %d, %q, %q", code, text, stderr)
	}
	if code, _, stderr := execute(t, "cameras", "/dev/video0"); code != cli.Usage || !strings.Contains(stderr, "cameras --help") {
		t.Errorf("with an argument: exit code %d, %q", code, stderr)
	}
}

func TestFindCameras(t *testing.T) {
	for name, tc := range map[string]struct {
		cameras []v4l2.Camera
		err     error
		want    []doctor.Finding
	}{
		"some": {cameras: someCameras(), want: []doctor.Finding{
			{What: "/dev/video0", State: doctor.OK, Text: "Maker's Cam (uvcvideo)"},
			{What: "/dev/video2", State: doctor.Note, Text: "isp, open /dev/video2: busy", Next: "look who has it"},
			{What: "/dev/video4", State: doctor.Missing, Text: "Locked, open /dev/video4: permission denied", Next: "join the group"},
			{What: "/dev/video6", State: doctor.Note, Text: "open /dev/video6: no such device or address"},
		}},
		"none": {want: []doctor.Finding{{What: "cameras", State: doctor.Note, Text: "no /dev/video* delivers pictures",
			Next: "plug a camera in, or use a network camera, a file or synthetic:"}}},
		"unknown": {err: errors.New("look for cameras: open /dev: permission denied"), want: []doctor.Finding{
			{What: "cameras", State: doctor.Note, Text: "look for cameras: open /dev: permission denied"}}},
	} {
		if got := findCameras(tc.cameras, tc.err); !slices.Equal(got, tc.want) {
			t.Errorf("%s: findings %+v, want %+v", name, got, tc.want)
		}
	}
}
