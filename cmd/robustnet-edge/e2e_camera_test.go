package main

import (
	"net"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// A network camera, played by another daemon, is watched and, after it was away, watched
// again without any help.
func TestNetworkCameraComesBack(t *testing.T) {
	model := writeModel(t, trttest.Options{})
	address := freeTCPAddress(t)
	startCamera := func() *daemon {
		return start(t, "--camera", "synthetic:?size=320x180&fps=15", "--model", model, "--rtsp", address)
	}
	camera := startCamera()
	d := start(t, "--camera", camera.rtsp, "--model", model, "--retry-max", "1s")
	d.showFrames(t, 3)
	if got := d.camera(t).Source; got.State != web.CameraUp || got.Width != 320 || got.Height != 180 || got.Reopens != 0 {
		t.Errorf("status of the camera %+v, want it up with 320×180 at the first attempt", got)
	}

	camera.stop()
	eventually(t, "the camera is lost", func() bool { return d.camera(t).Source.State == web.CameraLost })
	if got := d.metric(t, "robustnet_camera_up"); got != 0 {
		t.Errorf("robustnet_camera_up = %v while the camera is away, want 0", got)
	}
	before := d.metric(t, "robustnet_frame_age_seconds_count")

	camera = startCamera()
	d.showFrames(t, before+3)
	if got := d.camera(t).Source; got.State != web.CameraUp || got.Reopens == 0 || got.Error != "" {
		t.Errorf("status of the camera %+v, want it up again after it was reopened", got)
	}
	if got := d.metric(t, "robustnet_camera_up"); got != 1 {
		t.Errorf("robustnet_camera_up = %v when the camera is back, want 1", got)
	}
	d.stop()
	camera.stop()
}

// freeTCPAddress is for a server that must come back under the same address.
func freeTCPAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
