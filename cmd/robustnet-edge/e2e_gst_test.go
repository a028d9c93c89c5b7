package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch/gsttest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// needGStreamer skips where the elements of this test are missing.
func needGStreamer(t *testing.T) {
	t.Helper()
	gsttest.Need(t, "videotestsrc", "videoconvert", "rawvideoparse", "x264enc", "h264parse", "gdppay")
}

// gstreamerLacks is what a sentence on a missing element says, with or without GStreamer.
func gstreamerLacks(element string) string {
	if _, err := exec.LookPath("gst-launch-1.0"); err != nil {
		return "install the package gstreamer1.0-tools"
	}
	return fmt.Sprintf("no element %q", element)
}

const pipelineCamera = "gst:videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=180,framerate=15/1"

// A pipeline of GStreamer's is watched through its encoder, by several players in turn, each of
// whom asks for a key frame, and its pictures are as late as with any other camera.
func TestGStreamer(t *testing.T) {
	needGStreamer(t)
	d := start(t, "--camera", pipelineCamera, "--model", writeModel(t, trttest.Options{}), "--encoder", "gst",
		"--visualize", "raw", "--legend=false", "--stats=false", "--stamp")
	for range 2 {
		if got := probe(t, "-analyzeduration", "500000", "-rtsp_transport", "tcp", d.rtsp); got.Codec != "h264" || got.Width != 320 || got.Height != 180 {
			t.Errorf("%s of %d×%d, want h264 of 320×180", got.Codec, got.Width, got.Height)
		}
	}
	p := play(t, d.rtsp, "tcp", 320, 180)
	checkPlayed(t, p.take(watched))
	status := d.camera(t)
	if status.Source.State != web.CameraUp || status.Source.Width != 320 || status.Source.FPS != 15 || status.Source.Reopens != 0 {
		t.Errorf("status of the camera is %+v, want it up with 320×180 at 15 per second", status.Source)
	}
	if !strings.HasPrefix(status.Stream.Encoder, "gst ") {
		t.Errorf("encoder in the status is %q, want one of GStreamer's", status.Stream.Encoder)
	}
	if complaint := p.stop(); complaint != "" {
		t.Errorf("the player complains: %s", complaint)
	}
	d.stop()
}

// checkPlayed looks at the stamps alone, since a test picture hardly moves.
func checkPlayed(t *testing.T, pictures []picture) {
	t.Helper()
	for i, p := range pictures {
		if latency := p.arrived.Sub(p.captured); !p.stamped || latency <= 0 || latency > saneLatency {
			t.Errorf("picture %d: stamped %t, %v after it was captured, want 0 to %v", i, p.stamped, latency, saneLatency)
		}
		if i > 0 && !p.captured.After(pictures[i-1].captured) {
			t.Errorf("picture %d was captured before the one before", i)
		}
	}
}

// A pipeline that ends is a camera that ends.
func TestGStreamerEnds(t *testing.T) {
	needGStreamer(t)
	d := process(t, "--camera", "gst:videotestsrc is-live=true num-buffers=10", "--model", writeModel(t, trttest.Options{}), "--rtsp", "off")
	d.log.wait(t, "camera opened", d.ended)
}

// A daemon that is killed leaves no process behind, not even one that delivers nothing.
func TestKilledWithPipelines(t *testing.T) {
	needGStreamer(t)
	c := spawn(t, "--camera", "gst:videotestsrc is-live=true num-buffers=5 ! concat name=both videotestsrc is-live=true ! valve drop=true ! both. both.",
		"--model", writeModel(t, trttest.Options{}), "--encoder", "gst", "--no-frame", "5m")
	var pids []int
	eventually(t, "camera and encoder run", func() bool {
		pids = gsttest.Children(t, c.cmd.Process.Pid)
		return len(pids) == 2
	})
	c.signal(syscall.SIGKILL)
	eventually(t, "both are gone", func() bool {
		for _, pid := range pids {
			if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && strings.HasPrefix(string(name), "gst-launch") {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				if err == nil && !strings.Contains(string(stat), ") Z ") { // not waiting for the system's first process
					return false
				}
			}
		}
		return true
	})
}
