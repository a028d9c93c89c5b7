package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/doctor"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestDoctor looks at this machine, of which a model that runs can be expected, and no more.
func TestDoctor(t *testing.T) {
	library := trttest.Library(t)
	for name, tt := range map[string]struct {
		args []string
		code int
		want map[string]doctor.State
	}{
		"the model inside":  {nil, cli.OK, map[string]doctor.State{"model": doctor.OK, "program": doctor.OK, "encoder": doctor.OK}},
		"another encoder":   {[]string{"--encoder", otherLibrary()}, cli.Failure, map[string]doctor.State{"encoder": doctor.Missing}},
		"nothing to encode": {[]string{"--encoder", otherLibrary(), "--rtsp", "off"}, cli.OK, map[string]doctor.State{"encoder": ""}},
		"an engine":         {[]string{"--model", "none.engine"}, cli.Failure, map[string]doctor.State{"model": doctor.Missing}},
		"no provider":       {[]string{"--provider", "tensorrt"}, cli.Failure, map[string]doctor.State{"model": doctor.Missing}},
		"no ONNX Runtime":   {[]string{"--onnxruntime", "/nowhere.so"}, cli.Failure, map[string]doctor.State{"model": doctor.Missing}},
	} {
		var out, log bytes.Buffer
		args := append([]string{"doctor", "--json", "--onnxruntime", library}, tt.args...)
		if code := run(t.Context(), args, &out, &log); code != tt.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, tt.code, log.String())
		}
		var findings []doctor.Finding
		if err := json.Unmarshal(out.Bytes(), &findings); err != nil {
			t.Fatal(err)
		}
		found := map[string]doctor.Finding{}
		for _, f := range findings {
			found[f.What] = f
			if f.Text == "" || strings.Contains(f.Text, "\n") || f.State == doctor.Missing && f.Next == "" {
				t.Errorf("%s: %+v: it has to say what was found in one line, and what to do", name, f)
			}
		}
		for what, state := range tt.want {
			if found[what].State != state {
				t.Errorf("%s: %s is %+v, want %s", name, what, found[what], state)
			}
		}
	}
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"doctor", "--onnxruntime", library}, &out, &log); code != cli.OK || !strings.Contains(out.String(), "\nok       model ") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), log.String())
	}
}

// otherLibrary is the encoder that this program was not built with.
func otherLibrary() string {
	if stream.EncoderName() == "x264" {
		return "openh264"
	}
	return "x264"
}

// Without NVIDIA's elements there is no CSI camera, and without GStreamer none by a pipeline.
func TestDoctorOnCameras(t *testing.T) {
	for address, want := range map[string]string{"csi://0": "gstreamer1.0-tools", "gst:videotestsrc": "gstreamer1.0-tools", "synthetic:": ""} {
		t.Setenv("PATH", t.TempDir())
		findings := gstreamer(t.Context(), config.Camera{URI: address})
		if want == "" {
			if len(findings) != 0 {
				t.Errorf("%s: %+v, want nothing", address, findings)
			}
			continue
		}
		if len(findings) != 1 || findings[0].State != doctor.Missing || !strings.Contains(findings[0].Next, want) {
			t.Errorf("%s: %+v, want that %s is missing", address, findings, want)
		}
	}
}
