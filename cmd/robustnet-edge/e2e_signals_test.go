package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// slowArgs make a daemon that is nearly always in the network when a signal comes.
func slowArgs(t *testing.T) []string {
	t.Helper()
	args := []string{"--camera", "synthetic:?size=320x180&fps=30"}
	if path, err := shared(referenceModel); err == nil {
		return append(args, "--model", path)
	}
	return append(args, "--model", writeModel(t, trttest.Options{InputWidth: 1920, InputHeight: 1080}))
}

// A signal while the program starts stops it well, too. The configuration comes through a
// pipe, which holds the start until the test lets it go on.
func TestSignalDuringStart(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		after  time.Duration // from the configuration on
	}{
		"reading the configuration": {syscall.SIGTERM, -1},
		"at once":                   {syscall.SIGTERM, 0},
		"soon":                      {syscall.SIGTERM, 50 * time.Millisecond},
		"loading the model":         {syscall.SIGINT, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			pipe := filepath.Join(t.TempDir(), "edge.yaml")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			p := spawn(t, append(slowArgs(t), "--config", pipe)...)
			config := openForReader(t, pipe)
			if c.after < 0 {
				p.signal(c.signal)
			}
			if err := config.Close(); err != nil {
				t.Fatal(err)
			}
			if c.after >= 0 {
				<-time.After(c.after) // the moment is what is tested
				p.signal(c.signal)
			}
			p.mustStop()
		})
	}
}

// openForReader opens a pipe for writing once somebody reads it.
func openForReader(t *testing.T, pipe string) (file *os.File) {
	t.Helper()
	eventually(t, "the program reads its configuration", func() bool {
		var err error
		file, err = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil && !errors.Is(err, syscall.ENXIO) {
			t.Fatal(err)
		}
		return err == nil
	})
	return file
}

// A signal at any time of normal work ends the program well and soon.
func TestSignalWhileServing(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		until  func(t *testing.T, p *child, at addresses) // the signal's moment
	}{
		"just serving": {syscall.SIGTERM, func(*testing.T, *child, addresses) {}},
		"camera opened": {syscall.SIGTERM, func(t *testing.T, p *child, _ addresses) {
			p.log.wait(t, "camera opened", p.ended)
		}},
		"in the network": {syscall.SIGTERM, func(t *testing.T, _ *child, at addresses) { at.showFrames(t, 2) }},
		"during PLAY over TCP": {syscall.SIGTERM, func(t *testing.T, _ *child, at addresses) {
			play(t, at.rtsp, "tcp", 320, 180).take(3)
		}},
		"during PLAY over UDP": {syscall.SIGINT, func(t *testing.T, _ *child, at addresses) {
			play(t, at.rtsp, "udp", 320, 180).take(3)
		}},
		"with the page open": {syscall.SIGINT, func(t *testing.T, _ *child, at addresses) {
			at.showFrames(t, 1)
			request(t, at.page+"preview.mjpg")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, at := spawnServing(t)
			c.until(t, p, at)
			p.signal(c.signal)
			p.mustStop()
		})
	}
}

func spawnServing(t *testing.T, args ...string) (*child, addresses) {
	t.Helper()
	args = append(slowArgs(t), args...)
	p := spawn(t, append(args, "--rtp-port", strconv.Itoa(freeRTPPort(t)))...)
	return p, p.log.addresses(t, p.ended)
}

// A recording is complete after a signal.
func TestSignalWhileRecording(t *testing.T) {
	folder := t.TempDir()
	video := filepath.Join(folder, "out.mp4")
	p, at := spawnServing(t, "--output", video)
	at.showFrames(t, 3)
	p.signal(syscall.SIGTERM)
	p.mustStop()
	if got := fileNames(t, folder); !slices.Equal(got, []string{"out.mp4"}) {
		t.Errorf("files %q, want out.mp4 only", got)
	}
	checkVideo(t, video, 320, 180, 0)
}

// An impatient user who signals again does not make the program hang. The second signal
// may end it the hard way.
func TestSecondSignal(t *testing.T) {
	p, at := spawnServing(t)
	at.showFrames(t, 1)
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	state := p.within(stopLimit)
	if how := state.Sys().(syscall.WaitStatus); !state.Success() && !(how.Signaled() && how.Signal() == syscall.SIGINT) {
		t.Errorf("%v, want exit code 0 or the end by the signal", state)
	}
}
