package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// settings is a configuration file that a test rewrites.
type settings struct {
	t    *testing.T
	path string
}

func newSettings(t *testing.T, content string) *settings {
	t.Helper()
	s := &settings{t: t, path: filepath.Join(t.TempDir(), "edge.yaml")}
	s.write(content)
	return s
}

func (s *settings) write(content string) {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// hangUp makes the daemon of this process read its configuration again, and waits until it
// has judged it.
func (d *daemon) hangUp(t *testing.T) {
	t.Helper()
	judged := func() float64 { return d.metric(t, "robustnet_config_reloads_total") }
	before := judged()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the configuration is judged", func() bool { return judged() > before })
}

const twoStreets = `
camera:
  size: 320x180
  fps: 15
cameras:
  - name: front
    uri: synthetic:?seed=1&size=320x180&fps=15
  - name: rear
    uri: synthetic:?seed=2&size=320x180&fps=15
`

// Two cameras are played from one daemon. Players of both stay connected while one camera is
// changed, while a file with mistakes is refused, and while drawing and bit rate change.
func TestSeveralCamerasAndReload(t *testing.T) {
	file := newSettings(t, twoStreets)
	d := start(t, "--config", file.path, "--model", writeModel(t, trttest.Options{}))
	eventually(t, "both cameras are shown", func() bool {
		s := d.status(t)
		return len(s.Cameras) == 2 && s.Cameras[0].Pipeline.FPS > 0 && s.Cameras[1].Pipeline.FPS > 0
	})
	var players []*player
	for i, name := range []string{"front", "rear"} {
		url := d.status(t).Cameras[i].Stream.RTSPURL
		if !strings.HasSuffix(url, "/"+name) {
			t.Errorf("stream of %s is at %s", name, url)
		}
		players = append(players, play(t, url, "tcp", 320, 180))
	}
	front, rear := players[0].take(3), players[1].take(3)
	if front[2].digest == rear[2].digest {
		t.Error("both streams show the same")
	}

	watch := func(what string) {
		t.Helper()
		for _, p := range players {
			drain(p)
			p.take(5)
		}
		if got := d.metric(t, "robustnet_rtsp_clients"); got != 2 {
			t.Errorf("%s: %v players, want both", what, got)
		}
	}
	file.write(strings.Replace(twoStreets, "seed=2", "seed=3&style=night", 1))
	d.hangUp(t)
	watch("another camera behind")

	file.write(twoStreets + "overlay:\n  alhpa: 1\n")
	d.hangUp(t)
	if got := d.metric(t, "robustnet_config_last_reload_successful"); got != 0 {
		t.Errorf("robustnet_config_last_reload_successful = %v after a file with a mistake", got)
	}
	if s := d.status(t).Configuration; s.Applied || !strings.Contains(s.Error, "did you mean overlay.alpha?") {
		t.Errorf("status of the configuration %+v, want the mistake", s)
	}
	watch("a file with a mistake")

	file.write(twoStreets + "overlay:\n  alpha: 1\nstream:\n  bitrate_kbps: 1000\n")
	d.hangUp(t)
	watch("other drawing and bit rate")
	if s := d.status(t); !s.Configuration.Applied || s.Cameras[0].Stream.BitrateKbps != 1000 {
		t.Errorf("status %+v, want the new configuration in use", s)
	}

	file.write(fmt.Sprintf("camera:\n  uri: %q\n", "synthetic:?size=320x180&fps=15"))
	d.hangUp(t)
	eventually(t, "one camera under its usual path", func() bool {
		s := d.status(t)
		return len(s.Cameras) == 1 && strings.HasSuffix(s.Cameras[0].Stream.RTSPURL, "/overlay") && s.Cameras[0].Pipeline.FPS > 0
	})
	eventually(t, "the players of cameras that are gone are disconnected", func() bool {
		return d.metric(t, "robustnet_rtsp_clients") == 0
	})
	play(t, d.camera(t).Stream.RTSPURL, "tcp", 320, 180).take(2)
}

// drain throws away what a player has shown already.
func drain(p *player) {
	for {
		select {
		case _, open := <-p.pictures:
			if !open {
				return
			}
		default:
			return
		}
	}
}
