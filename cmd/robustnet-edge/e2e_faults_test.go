package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// Whatever is wrong at the start ends the program with one sentence that names it.
func TestFaultsAtStart(t *testing.T) {
	good := writeModel(t, trttest.Options{})
	model := trttest.Model(trttest.Options{})
	text := writeFile(t, "notes.mp4", []byte(strings.Repeat("this is no video\n", 1000)))
	folder := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().String()
	rtcp, takenRTP := takeRTCPPort(t)
	defer rtcp.Close()

	for name, c := range map[string]struct {
		args []string
		want []string // all in the one sentence
	}{
		"camera missing":           {[]string{"--camera", "file:nowhere.mp4"}, []string{"nowhere.mp4", "no such file"}},
		"camera not a video":       {[]string{"--camera", "file:" + text}, []string{text, "not a video"}},
		"camera a folder":          {[]string{"--camera", "file:" + folder}, []string{folder, "dir:"}},
		"pipeline not one":         {[]string{"--camera", "gst:nosuchsrc ! queue"}, []string{"gst:nosuchsrc ! queue", gstreamerLacks("nosuchsrc")}},
		"encoder not inside":       {[]string{"--encoder", otherLibrary()}, []string{otherLibrary(), "built with", "--encoder"}},
		"encoder pipeline":         {[]string{"--encoder", "gst", "--encoder-pipeline", "nosuchenc"}, []string{"nosuchenc", gstreamerLacks("nosuchenc"), "--encoder auto"}},
		"folder of nothing":        {[]string{"--camera", "dir:" + folder}, []string{folder, "no images"}},
		"model missing":            {[]string{"--model", "nowhere.onnx"}, []string{"nowhere.onnx", "no such file"}},
		"model corrupt":            {[]string{"--model", writeFile(t, "cut.onnx", model[:len(model)/2])}, []string{"cut.onnx", "cut short or damaged"}},
		"model not a model":        {[]string{"--model", text}, []string{text, "not a readable ONNX model"}},
		"model of floats":          {[]string{"--model", writeModel(t, trttest.Options{InputType: onnx.Float32})}, []string{"model.onnx", "float32", "uint8"}},
		"model without card":       {[]string{"--model", writeModel(t, trttest.Options{NoCard: true})}, []string{"model.onnx", "card"}},
		"library missing":          {[]string{"--onnxruntime", "nowhere.so"}, []string{"nowhere.so", "--onnxruntime"}},
		"RTSP port in use":         {[]string{"--rtsp", taken}, []string{taken, "in use", "--rtsp"}},
		"HTTP port in use":         {[]string{"--http", taken}, []string{taken, "in use", "--http"}},
		"RTP port in use":          {[]string{"--rtp-port", strconv.Itoa(takenRTP)}, []string{strconv.Itoa(takenRTP + 1), "in use", "--rtp-port"}},
		"recording nowhere":        {[]string{"--output", "/nowhere/out.mp4"}, []string{"/nowhere", "does not exist"}},
		"masks into a file":        {[]string{"--masks", text}, []string{text, "--masks"}},
		"port in use and recorded": {[]string{"--rtsp", taken, "--output", filepath.Join(folder, "out.mp4")}, []string{taken, "--rtsp"}},
		"missing and recorded":     {[]string{"--camera", "file:nowhere.mp4", "--output", filepath.Join(folder, "out.mp4")}, []string{"nowhere.mp4"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--camera", "synthetic:?size=64x64", "--model", good}
			d := launch(t, append(args, c.args...)...)
			code, complaint := d.finish()
			if code != cli.Failure || !strings.HasPrefix(complaint, "robustnet-edge: ") || strings.Count(complaint, "\n") != 1 {
				t.Errorf("exit code %d, %q; want 1 and one line", code, complaint)
			}
			for _, part := range c.want {
				if !strings.Contains(complaint, part) {
					t.Errorf("%q does not say %q", complaint, part)
				}
			}
			t.Logf("%s", complaint)
		})
	}
	if left := fileNames(t, folder); len(left) > 0 {
		t.Errorf("files left behind: %q", left)
	}
}

// A camera that is not plugged in is waited for, and the daemon says so meanwhile.
func TestCameraNotThere(t *testing.T) {
	const device = "/dev/video99"
	d := start(t, "--camera", device, "--model", writeModel(t, trttest.Options{}))
	fields := d.log.wait(t, "camera lost", d.ended)
	if cause, _ := fields["error"].(string); !strings.Contains(cause, device) {
		t.Errorf("the log says %q, want it to name %s", cause, device)
	}
	answer := request(t, d.page+"readyz")
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %s without a camera, want 503", answer.Status)
	}
	if got := string(d.get(t, "/healthz")); got != "ok\n" {
		t.Errorf("/healthz answers %q, want ok", got)
	}
	if code, _, stderr := execute(t, "healthz", "--http", d.host()); code != cli.Failure || !strings.Contains(stderr, "not ready: no frame has arrived yet") {
		t.Errorf("robustnet-edge healthz: exit code %d, %q; want 1 and the reason", code, stderr)
	}
	if got := d.metric(t, "robustnet_camera_up"); got != 0 {
		t.Errorf("robustnet_camera_up = %v, want 0", got)
	}
	eventually(t, "the status tells the fault", func() bool { return d.camera(t).Source.Error != "" })
	d.stop()
}

// takeRTCPPort occupies the port after a free even one, and returns the even one.
func takeRTCPPort(t *testing.T) (*net.UDPConn, int) {
	t.Helper()
	port := freeRTPPort(t)
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
	if err != nil {
		t.Fatal(err)
	}
	return conn, port
}

// A clip that was cut short is processed as far as it goes, and then named.
func TestTruncatedClip(t *testing.T) {
	const frames = 50
	content, err := os.ReadFile(makeClip(t, frames))
	if err != nil {
		t.Fatal(err)
	}
	clip := writeFile(t, "cut.mp4", content[:len(content)*2/3])
	folder := t.TempDir()
	video, masks := filepath.Join(folder, "out.mp4"), filepath.Join(folder, "masks")
	d := launch(t, headless("--camera", "file:"+clip+"?pace=0", "--model", writeModel(t, trttest.Options{}), "--output", video, "--masks", masks)...)
	code, complaint := d.finish()
	if code != cli.Failure || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, clip) || !strings.Contains(complaint, "truncated") {
		t.Errorf("exit code %d, %q; want 1 and one line that the clip is truncated", code, complaint)
	}
	written := len(fileNames(t, masks))
	if written < frames/4 || written >= frames {
		t.Errorf("%d masks of a clip of %d frames that lacks a third", written, frames)
	}
	if want := fmt.Sprintf("%d of the %d frames", written, frames); !strings.Contains(complaint, want) {
		t.Errorf("%q does not say %q", complaint, want)
	}
	checkVideo(t, video, clipWidth, clipHeight, written)
}

// Every fault of a configuration file is told, and the exit code tells it from a mistake
// on the command line.
func TestExitCodesOfTheProcess(t *testing.T) {
	file := writeFile(t, "edge.yaml", []byte("camera:\n  fps: fast\noverlay:\n  alpha: 2\nstreem:\n  rtsp: off\n"))
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"bad file": {[]string{"--config", file}, cli.Failure, []string{"3 faults", file + ":2", file + ":4", file + ":5", "stream"}},
		"bad flag": {[]string{"--alpha", "2"}, cli.Usage, []string{"--alpha"}},
		"no flag":  {[]string{"--nonsense"}, cli.Usage, []string{"--nonsense"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := spawn(t, c.args...)
			if got := p.within(patience).ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			for _, part := range c.want {
				if !strings.Contains(p.log.String(), part) {
					t.Errorf("%q does not say %q", p.log, part)
				}
			}
		})
	}
}
