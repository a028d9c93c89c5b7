package v4l2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/prop"
)

func mode(f frame.Format, w, h int, fps float32) prop.Media {
	return prop.Media{Video: prop.Video{FrameFormat: f, Width: w, Height: h, FrameRate: fps}}
}

func name(m prop.Media) string {
	return fmt.Sprintf("%s %dx%d@%g", m.FrameFormat, m.Width, m.Height, m.FrameRate)
}

func TestChooseMode(t *testing.T) {
	// A usual USB camera: raw is slow at high resolution.
	webcam := []prop.Media{
		mode(frame.FormatMJPEG, 1920, 1080, 30), mode(frame.FormatMJPEG, 1280, 720, 30), mode(frame.FormatMJPEG, 640, 480, 30),
		mode(frame.FormatYUYV, 1920, 1080, 5), mode(frame.FormatYUYV, 1280, 720, 10), mode(frame.FormatYUYV, 640, 480, 30),
		mode(frame.FormatYUYV, 640, 480, 15),
	}
	raw := []prop.Media{
		mode(frame.FormatYUYV, 320, 240, 60), mode(frame.FormatYUYV, 640, 480, 30), mode(frame.FormatYUYV, 640, 480, 60),
	}
	tests := map[string]struct {
		modes []prop.Media
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
		"29.97 equals 30":             {[]prop.Media{mode(frame.FormatMJPEG, 640, 480, 30), mode(frame.FormatYUYV, 640, 480, 29.97)}, request{width: 640, height: 480, fps: 30}, "YUYV 640x480@29.97"},
		"device lists no rates":       {[]prop.Media{mode(frame.FormatNV12, 1920, 1080, 0), mode(frame.FormatNV12, 1280, 720, 0)}, request{width: 1280, height: 720, fps: 30}, "NV12 1280x720@0"},
		"format insisted on":          {webcam, request{width: 1280, height: 720, fps: 30, format: "yuyv"}, "YUYV 1280x720@10"},
		"format by its kernel name":   {webcam, request{width: 640, height: 480, fps: 30, format: "MJPG"}, "MJPEG 640x480@30"},
		"size insisted on":            {webcam, request{width: 1920, height: 1080, fps: 5, exactSize: true}, "YUYV 1920x1080@5"},
		"depth is passed over":        {[]prop.Media{mode(frame.FormatZ16, 1280, 720, 30), mode(frame.FormatYUYV, 640, 480, 30)}, request{width: 640, height: 480, fps: 30}, "YUYV 640x480@30"},
		"fast and large before slow":  {[]prop.Media{mode(frame.FormatYUYV, 1280, 720, 5), mode(frame.FormatMJPEG, 1920, 1080, 30)}, request{width: 1280, height: 720, fps: 30}, "MJPEG 1920x1080@30"},
		"portrait needs both lengths": {[]prop.Media{mode(frame.FormatYUYV, 1280, 720, 30), mode(frame.FormatYUYV, 1080, 1920, 30)}, request{width: 720, height: 1280, fps: 30}, "YUYV 1080x1920@30"},
	}
	for title, tc := range tests {
		got, err := chooseMode(tc.modes, tc.want)
		if err != nil || name(got) != tc.mode {
			t.Errorf("%s: chooseMode(%+v) = %s, %v; want %s", title, tc.want, name(got), err, tc.mode)
		}
	}
	for title, tc := range map[string]struct {
		modes []prop.Media
		want  request
		err   string
	}{
		"no modes":     {nil, request{}, "no modes"},
		"only depth":   {[]prop.Media{mode(frame.FormatZ16, 640, 480, 30)}, request{}, "Z16 640x480"},
		"other format": {webcam, request{format: "NV12"}, "it has MJPEG 1920x1080 1280x720 640x480, YUYV 1920x1080 1280x720 640x480"},
		"unreadable":   {raw, request{format: "GREY"}, "format GREY cannot be read; device has YUYV 640x480 320x240"},
		"other size":   {raw, request{width: 800, height: 600, exactSize: true}, "no size 800x600; it has YUYV 640x480 320x240"},
	} {
		if got, err := chooseMode(tc.modes, tc.want); err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: chooseMode = %s, %v; want an error with %q", title, name(got), err, tc.err)
		}
	}
}
