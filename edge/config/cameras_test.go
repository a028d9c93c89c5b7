package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const twoCameras = `
cameras:
  - name: front
    uri: /dev/video0
    path: street/front
    video: front.mp4
  - {name: rear, uri: "rtsp://u:p@host/x", size: 640x480, fps: 15}
camera:
  retry_max: 2s
overlay:
  alpha: 0.25
`

func TestListOfCameras(t *testing.T) {
	l, err := fromYAML(twoCameras)
	if err != nil {
		t.Fatal(err)
	}
	feeds := l.Config.Feeds()
	if len(feeds) != 2 || feeds[0].Name != "front" || feeds[1].Name != "rear" {
		t.Fatalf("feeds %+v, want front and rear", feeds)
	}
	front, rear := feeds[0].Config, feeds[1].Config
	if front.Camera.URI != "/dev/video0" || front.Stream.Path != "street/front" || front.Output.Video != "front.mp4" ||
		front.Camera.RetryMax != 2*time.Second || front.Camera.FPS != 30 || front.Overlay.Alpha != 0.25 || front.Cameras != nil {
		t.Errorf("front: %+v", front)
	}
	if rear.Camera.Size != (Size{640, 480}) || rear.Camera.FPS != 15 || rear.Stream.Path != "rear" || rear.Output.Video != "" ||
		rear.Camera.RetryMax != 2*time.Second {
		t.Errorf("rear: %+v", rear)
	}
	if err := l.Config.Validate(); err != nil {
		t.Errorf("valid list: %v", err)
	}
}

func TestOneCameraIsOneFeed(t *testing.T) {
	c := Default()
	if got := c.Feeds(); len(got) != 1 || got[0].Name != DefaultName || !reflect.DeepEqual(got[0].Config, c) {
		t.Errorf("feeds %+v, want the one of the section camera", got)
	}
}

func TestPrintedListLoadsToTheSame(t *testing.T) {
	first, err := fromYAML(twoCameras)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(Loaded, *strings.Builder) error{
		"print":   func(l Loaded, b *strings.Builder) error { return l.Print(b) },
		"explain": func(l Loaded, b *strings.Builder) error { return l.Explain(b) },
	} {
		var b strings.Builder
		if err := write(first, &b); err != nil {
			t.Fatal(err)
		}
		second, err := fromYAML(b.String())
		if err != nil || !reflect.DeepEqual(second.Config, first.Config) {
			t.Errorf("%s: loaded again %+v, %v\nwant %+v\nfile\n%s", name, second.Config, err, first.Config, &b)
		}
	}
}

func TestListsThatAreRefused(t *testing.T) {
	many := "cameras:\n" + strings.Repeat("  - {name: a, uri: /dev/video0}\n", MaxCameras+1)
	for name, c := range map[string]struct{ yaml, want string }{
		"not a list":       {"cameras:\n  front: 1\n", "edge.yaml:1:1: cameras is a list; want an entry with name: and uri: for each camera, begun with a dash"},
		"nothing":          {"cameras:\n", "edge.yaml:1:1: cameras is a list; want an entry with name: and uri: for each camera, begun with a dash"},
		"empty":            {"cameras: []\n", "edge.yaml:1:1: cameras is empty; give it an entry for each camera, or leave it out for the one of the section camera"},
		"same folder":      {"cameras:\n  - {name: a, uri: 'file:x.mp4', masks: out/m}\n  - {name: b, uri: 'file:y.mp4', masks: ./out//m/}\n", `edge.yaml:3:5: cameras[1].masks is "out/m", as is that of cameras[0]; each camera needs its own`},
		"entry is a value": {"cameras:\n  - /dev/video0\n", "edge.yaml:2:5: cameras[0] is one value; want lines of key: value"},
		"entry is a list":  {"cameras:\n  - - a\n", "edge.yaml:2:5: " + noList},
		"no name":          {"cameras:\n  - uri: /dev/video0\n", "edge.yaml:2:8: cameras[0] has no name"},
		"no uri":           {"cameras:\n  - name: front\n", "edge.yaml:2:9: cameras[0] has no uri"},
		"bad name":         {"cameras:\n  - name: a b\n    uri: /dev/video0\n", `edge.yaml:2:11: cameras[0].name is "a b"; want a word of letters, digits, _ and -, at most 32 of them`},
		"bad value":        {"cameras:\n  - name: a\n    uri: /dev/video0\n    fps: 900\n", "edge.yaml:4:10: cameras[0].fps is 900; want a number from 1 to 240"},
		"unknown key":      {"cameras:\n  - name: a\n    uri: /dev/video0\n    sise: 640x480\n", "edge.yaml:4:5: unknown key cameras[0].sise; did you mean size?"},
		"twice":            {"cameras:\n  - name: a\n    name: b\n    uri: /dev/video0\n", "edge.yaml:3:5: cameras[0].name is here twice; the first is in line 2"},
		"too many":         {many, "edge.yaml:1:1: cameras has 17 entries; want 16 at most"},
		"same name":        {"cameras:\n  - {name: a, uri: 'file:x.mp4'}\n  - {name: a, uri: 'file:y.mp4', path: b}\n", `edge.yaml:3:5: cameras[1].name is "a", as is that of cameras[0]; each camera needs its own`},
		"same path":        {"cameras:\n  - {name: a, uri: 'file:x.mp4'}\n  - {name: b, uri: 'file:y.mp4', path: a}\n", `edge.yaml:3:5: cameras[1].path is "a", as is that of cameras[0]; each camera needs its own`},
		"and one camera":   {"camera:\n  uri: /dev/video0\ncameras:\n  - {name: a, uri: 'file:x.mp4'}\n", "edge.yaml:2:8: camera.uri is for one camera, and there is a list of them; write uri: in its entries"},
		"value elsewhere":  {"camera:\n  fps: [20]\n", "edge.yaml:2:8: " + noList},
	} {
		_, err := fromYAML(c.yaml)
		got := lines(t, err)
		if len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: got %q, want first %q", name, got, c.want)
		}
	}
}

func TestFlagBesideAList(t *testing.T) {
	file := writeFile(t, twoCameras)
	_, err := Load(Sources{Flags: parsed(t, "--config", file, "--camera", "/dev/video9")})
	if err == nil || !strings.Contains(err.Error(), "--camera: camera.uri is for one camera") {
		t.Errorf("error = %v, want that --camera and the list exclude each other", err)
	}
}

func TestListMadeInCodeIsChecked(t *testing.T) {
	c := Default()
	c.Cameras = []Listed{{Name: "a", Camera: c.Camera, Path: "a"}, {Name: "a/b", Camera: c.Camera, Path: "b"}}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "cameras[1].name") {
		t.Errorf("error = %v, want one about cameras[1].name", err)
	}
}
