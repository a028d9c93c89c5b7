package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the golden files and the documentation anew")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is out of step (go test -update writes it)\n--- got\n%s\n--- want\n%s", file, got, want)
	}
}

// fromYAML loads content as the file edge.yaml.
func fromYAML(content string) (Loaded, error) {
	l := newLoader()
	l.yaml("edge.yaml", []byte(content))
	return l.finish()
}

// parsed is a flag set after a command line.
func parsed(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	RegisterFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// lines is the error as one line per fault; nil for none.
func lines(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("error is a %T, want Faults: %v", err, err)
	}
	var all []string
	for _, f := range faults {
		all = append(all, f.Error())
	}
	return all
}

func TestDefaultIsValidAndTextRoundTrips(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, s := range table(&c) {
		if err := s.set(s.text()); err != nil {
			t.Errorf("%s refuses its own text %q: %v", s.Key, s.text(), err)
		}
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("after setting every value to itself: %+v, want %+v", c, Default())
	}
}

// The table's names are an interface; two settings must not share one.
func TestNamesAreUnique(t *testing.T) {
	c := Default()
	seen := map[string]string{}
	for _, s := range table(&c) {
		for _, name := range []string{s.Key, "--" + s.Flag, s.Env()} {
			if other, found := seen[name]; found {
				t.Errorf("%s and %s share %s", s.Key, other, name)
			}
			seen[name] = s.Key
		}
	}
}

func TestLaterLayersWin(t *testing.T) {
	file := writeFile(t, "overlay:\n  alpha: 0.1\n  legend: false\nstream:\n  path: file\n")
	got, err := Load(Sources{
		Environ: []string{
			"ROBUSTNET_OVERLAY_ALPHA=0.2", "ROBUSTNET_STREAM_PATH=env",
			"HOME=/root",
		},
		Flags: parsed(t, "--alpha=0.3", "--stamp", "--rtsp=off", "--config", file),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Overlay.Alpha, want.Overlay.Legend, want.Overlay.Stamp = 0.3, false, true
	want.Stream.Path, want.Stream.RTSP = "env", ""
	if !reflect.DeepEqual(got.Config, want) {
		t.Errorf("got  %+v\nwant %+v", got.Config, want)
	}
	for key, origin := range map[string]string{
		"overlay.alpha":  "--alpha",
		"overlay.legend": file + ":3:11",
		"overlay.stamp":  "--stamp",
		"overlay.stats":  "default",
		"stream.path":    "ROBUSTNET_STREAM_PATH",
		"stream.rtsp":    "--rtsp",
	} {
		if got := got.Origins[key].String(); got != origin {
			t.Errorf("origin of %s = %s, want %s", key, got, origin)
		}
	}
}

func TestFlagWinsOverVariableForTheFile(t *testing.T) {
	low, high := writeFile(t, "camera: {fps: 10}"), writeFile(t, "camera: {fps: 20}")
	environ := []string{"ROBUSTNET_CONFIG=" + low}
	for name, c := range map[string]struct {
		flags []string
		want  float64
	}{
		"variable": {nil, 10},
		"flag":     {[]string{"--config", high}, 20},
		"none":     {[]string{"--config", ""}, 30},
	} {
		got, err := Load(Sources{Environ: environ, Flags: parsed(t, c.flags...)})
		if err != nil || got.Config.Camera.FPS != c.want {
			t.Errorf("%s: fps = %v, %v; want %v", name, got.Config.Camera.FPS, err, c.want)
		}
	}
}

func TestFaultsOfAllLayersAtOnce(t *testing.T) {
	file := writeFile(t, "overlay:\n  alpha: 1.5\nhttp:\n  port: 80\n")
	_, err := Load(Sources{
		Environ: []string{
			"ROBUSTNET_STREAM_BITRATE_KBPS=many", "ROBUSTNET_CONFIG=" + file,
			"ROBUSTNET_STREAM_BITRATE=4000", "ROBUSTNET_CAMERA_SIZE=",
		},
		Flags: parsed(t, "--alpha", "2", "--http", "127.0.0.1:8554"),
	})
	want := []string{
		file + ":2:10: overlay.alpha is 1.5; want a number from 0 to 1",
		file + ":4:3: unknown key http.port",
		`ROBUSTNET_CAMERA_SIZE: camera.size is ""; want a size from 16x16 to 7680x4320, such as 1280x720`,
		"ROBUSTNET_STREAM_BITRATE: no such setting; did you mean ROBUSTNET_STREAM_BITRATE_KBPS?",
		"ROBUSTNET_STREAM_BITRATE_KBPS: stream.bitrate_kbps is many; want a whole number from 100 to 100000",
		"--alpha: overlay.alpha is 2; want a number from 0 to 1",
		"--http: RTSP on 127.0.0.1:8554 and HTTP on 127.0.0.1:8554 cannot share a port; change http.address or stream.rtsp",
	}
	if got := lines(t, err); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Variables that only share the prefix are not ours: Kubernetes sets these for the services
// robustnet-edge and robustnet (kubernetes.io, "Accessing the Service").
func TestOthersVariables(t *testing.T) {
	ours := map[string]string{
		"ROBUSTNET_OVERLY_ALPHA":        "no such setting; did you mean ROBUSTNET_OVERLAY_ALPHA?",
		"ROBUSTNET_CONFG":               "no such setting; did you mean ROBUSTNET_CONFIG?",
		"ROBUSTNET_HTTP_PREVIEW_FORMAT": "no such setting",
		"ROBUSTNET_LOG":                 "no such setting",
	}
	for name, problem := range ours {
		_, err := Load(Sources{Environ: []string{name + "=1"}})
		if got, want := lines(t, err), name+": "+problem; len(got) != 1 || got[0] != want {
			t.Errorf("%s: faults %q, want %q", name, got, want)
		}
	}
	others := []string{"ROBUSTNET_SHARED=/data", "ROBUSTNET_=", "ROBUSTNETX=1", "NOVALUE", "ROBUSTNET_TOKEN=1"}
	for _, service := range []string{"ROBUSTNET_EDGE", "ROBUSTNET"} {
		for _, variable := range []string{
			"_SERVICE_HOST=10.0.0.11", "_SERVICE_PORT=8554", "_SERVICE_PORT_RTSP=8554", "_SERVICE_PORT_HTTP=8080",
			"_PORT=tcp://10.0.0.11:8554", "_PORT_8554_TCP=tcp://10.0.0.11:8554", "_PORT_8554_TCP_PROTO=tcp",
			"_PORT_8554_TCP_PORT=8554", "_PORT_8554_TCP_ADDR=10.0.0.11", "_PORT_8000_UDP_PORT=8000",
		} {
			others = append(others, service+variable)
		}
	}
	if _, err := Load(Sources{Environ: others}); err != nil {
		t.Errorf("error = %v, want none", err)
	}
}

// Many kinds of fault in one file are all found in one pass, in the order of lines.
func TestManyFaultsGolden(t *testing.T) {
	_, err := Check("testdata/faults/many.yaml")
	if err == nil {
		t.Fatal("a file full of faults passed")
	}
	golden(t, "testdata/faults/many.golden", err.Error()+"\n")
}

func TestUsageTellsFlagsFromFiles(t *testing.T) {
	for name, c := range map[string]struct {
		src  Sources
		want bool
	}{
		"flag":         {Sources{Flags: parsed(t, "--fps", "0")}, true},
		"environment":  {Sources{Environ: []string{"ROBUSTNET_CAMERA_FPS=0"}}, false},
		"both":         {Sources{Environ: []string{"ROBUSTNET_CAMERA_FPS=0"}, Flags: parsed(t, "--alpha", "x")}, true},
		"missing file": {Sources{Flags: parsed(t, "--config", "testdata/none.yaml")}, false},
	} {
		_, err := Load(c.src)
		var faults Faults
		if !errors.As(err, &faults) || faults.Usage() != c.want {
			t.Errorf("%s: usage = %v of %v, want %v", name, faults.Usage(), err, c.want)
		}
	}
}

// A pipeline that would not be used is a mistake, told where the later of the two was set.
func TestEncoderPipelineNeedsGStreamer(t *testing.T) {
	const problem = "stream.encoder_pipeline is for the encoder gst, not %s; set stream.encoder to gst, or leave the pipeline out"
	file := writeFile(t, "stream:\n  encoder_pipeline: x264enc\n")
	for name, c := range map[string]struct {
		flags []string
		want  string // empty for no fault
	}{
		"both":     {[]string{"--encoder", "gst", "--encoder-pipeline", "x264enc ! queue"}, ""},
		"pipeline": {[]string{"--encoder-pipeline", "x264enc"}, "--encoder-pipeline: " + fmt.Sprintf(problem, "auto")},
		"other":    {[]string{"--config", file, "--encoder", "x264"}, "--encoder: " + fmt.Sprintf(problem, "x264")},
		"unknown":  {[]string{"--encoder", "nvenc", "--encoder-pipeline", "x"}, `--encoder: stream.encoder is "nvenc"; want auto, x264, openh264 or gst`},
		"newline":  {[]string{"--encoder", "gst", "--encoder-pipeline", "a\nb"}, `--encoder-pipeline: stream.encoder_pipeline is "a\nb"; control characters are not allowed`},
	} {
		_, err := Load(Sources{Flags: parsed(t, c.flags...)})
		if got := strings.Join(lines(t, err), "\n"); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

// An engine would not heed the provider, so that one that was set is a mistake.
func TestProviderNeedsModel(t *testing.T) {
	const problem = "model.provider %s is for ONNX models, and a.engine is an engine, which TensorRT itself runs; leave the provider out, or give the .onnx model"
	file := writeFile(t, "model:\n  provider: tensorrt\n")
	for name, c := range map[string]struct {
		flags []string
		want  string // empty for no fault
	}{
		"engine":        {[]string{"--model", "a.engine"}, ""},
		"as by default": {[]string{"--model", "a.engine", "--provider", "cpu"}, ""},
		"model":         {[]string{"--model", "a.onnx", "--provider", "cuda"}, ""},
		"provider":      {[]string{"--model", "a.engine", "--provider", "cuda"}, "--provider: " + fmt.Sprintf(problem, "cuda")},
		"of the file":   {[]string{"--config", file, "--model", "a.engine"}, "--model: " + fmt.Sprintf(problem, "tensorrt")},
		"unknown":       {[]string{"--model", "a.engine", "--provider", "rocm"}, `--provider: model.provider is "rocm"; want cpu, cuda or tensorrt`},
	} {
		_, err := Load(Sources{Flags: parsed(t, c.flags...)})
		if got := strings.Join(lines(t, err), "\n"); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

func TestValidateConfigMadeInCode(t *testing.T) {
	c := Default()
	c.Overlay.Alpha = math.NaN()
	c.Camera.Size = Size{Width: 0, Height: 720}
	c.Stream.RTPPort = 8001
	c.Log.Level = "trace"
	c.HTTP.Address = "[::]:8554"
	want := []string{
		`camera.size is "0x720"; want a size from 16x16 to 7680x4320, such as 1280x720`,
		"overlay.alpha is NaN; want a number from 0 to 1",
		"stream.rtp_port is 8001; want 0 or an even port from 1024 to 65534",
		`log.level is "trace"; want debug, info, warn or error`,
		"RTSP on 127.0.0.1:8554 and HTTP on [::]:8554 cannot share a port; change http.address or stream.rtsp",
	}
	if got := lines(t, c.Validate()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestListenersThatCollide(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:8554", "127.0.0.1:8554", true},
		{":8554", "127.0.0.1:8554", true},
		{"0.0.0.0:8554", "192.0.2.1:8554", true},
		{"127.0.0.1:8554", "127.0.0.2:8554", false},
		{"127.0.0.1:8554", "127.0.0.1:8080", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"", "", false},
	} {
		if got := sameListener(c.a, c.b); got != c.want {
			t.Errorf("sameListener(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestBounds pins the ranges that the documentation promises.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		flag      string
		good, bad []string
	}{
		{"camera", []string{"/dev/video0", "synthetic:?style=night"}, []string{"", "clip.mp4", "a\nb", "\xff"}},
		{"size", []string{"16x16", "7680x4320"}, []string{"15x16", "16x15", "7681x1", "x", "1280 x 720", "1280X720", "99999999999x9", "-1x20"}},
		{"fps", []string{"1", "29.97", "240"}, []string{"0.99", "240.1", "NaN", "inf", "", "thirty"}},
		{"no-frame", []string{"500ms", "5m"}, []string{"499ms", "5m1s", "5", "-1s"}},
		{"retry-max", []string{"1s", "10m"}, []string{"0s", "11m"}},
		{"threads", []string{"0", "256"}, []string{"-1", "257", "1.5", "0x1"}},
		{"visualize", []string{"overlay", "mask", "side-by-side", "raw"}, []string{"", "Mask"}},
		{"alpha", []string{"0", "1", "1e-3"}, []string{"-0.1", "1.01"}},
		{"legend", []string{"true", "false"}, []string{"1", "yes", ""}},
		{"rtsp", []string{"off", "", ":8554", "[::1]:0", "cam.example:65535"}, []string{"8554", "host", "host:65536", "host:-1", "::1:80"}},
		{"path", []string{"overlay", "yard/cam-1"}, []string{"", "/a", "a/", "a//b", "a b", "a?b"}},
		{"rtp-port", []string{"0", "1024", "65534"}, []string{"1022", "8001", "65536", "-2"}},
		{"bitrate", []string{"100", "100000"}, []string{"99", "100001", "4M"}},
		{"key-interval", []string{"100ms", "1m"}, []string{"99ms", "61s"}},
		{"preview-fps", []string{"1", "60"}, []string{"0", "61"}},
		{"output", []string{"", "a/b.mp4", "A.MP4"}, []string{"a.avi", "mp4"}},
		{"masks", []string{"", "dir/"}, []string{"a\x00b"}},
		{"frames", []string{"0", "1000000"}, []string{"-1", "99999999999999999999"}},
		{"duration", []string{"0", "0s", "20s"}, []string{"-1s", "9000h", "20"}},
		{"log-level", []string{"debug", "error"}, []string{"trace", "INFO"}},
		{"log-format", []string{"auto", "text", "json"}, []string{"xml"}},
		{"summary", []string{"0", "1s", "1h"}, []string{"999ms", "-1s", "2h"}},
	} {
		for _, text := range c.good {
			if _, err := Load(Sources{Flags: parsed(t, "--"+c.flag+"="+text)}); err != nil {
				t.Errorf("--%s=%q is refused: %v", c.flag, text, err)
			}
		}
		for _, text := range c.bad {
			_, err := Load(Sources{Flags: parsed(t, "--"+c.flag+"="+text)})
			if got := lines(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "--"+c.flag+": ") {
				t.Errorf("--%s=%q: faults %q, want one at --%s", c.flag, text, got, c.flag)
			}
		}
	}
}

func TestFaultHoldsNoPassword(t *testing.T) {
	_, err := Load(Sources{Flags: parsed(t, "--camera", "rtsp://user:hunter2@host:port/x")})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v, want one without the password", err)
	}
}

func TestPrintedConfigLoadsToTheSame(t *testing.T) {
	for name, args := range map[string][]string{
		"defaults": nil,
		"changed": {
			"--camera", `file:a "b" #c.mp4`, "--size=640x360", "--fps=29.97", "--no-frame=1m30s", "--rtsp=off",
			"--http=[::1]:0", "--path=007", "--visualize=side-by-side", "--alpha=0.30000000000000004",
			"--legend=false", "--model= spaced: out ", "--masks=~", "--onnxruntime=null", "--duration=1h0m1s", "--output=ü:.mp4",
		},
	} {
		first, err := Load(Sources{Flags: parsed(t, args...)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for form, write := range map[string]func(Loaded, io.Writer) error{"print": Loaded.Print, "explain": Loaded.Explain} {
			var b bytes.Buffer
			if err := write(first, &b); err != nil {
				t.Fatal(err)
			}
			second, err := fromYAML(b.String())
			if err != nil || !reflect.DeepEqual(second.Config, first.Config) {
				t.Errorf("%s, %s: loaded again %+v, %v\nwant %+v\nfile\n%s", name, form, second.Config, err, first.Config, &b)
			}
		}
	}
}

func TestPrintReportsAFullDisk(t *testing.T) {
	l, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	full := errors.New("disk full")
	r.CloseWithError(full)
	if err := l.Print(w); !errors.Is(err, full) {
		t.Errorf("error = %v, want %v", err, full)
	}
}

// The example file and the table in README.md are made from the table of settings.
func TestDocumentationIsInStep(t *testing.T) {
	l, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# Settings of robustnet-edge, all at their defaults. Delete what you do not change.\n" +
		"# Made by `robustnet-edge config --explain`; `robustnet-edge check FILE` finds mistakes.\n\n")
	if err := l.Explain(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "../../packaging/robustnet-edge.yaml", b.String())

	b.Reset()
	b.WriteString("# Settings of robustnet-edge\n\n" +
		"Written by `go test ./edge/config -update` from the table of settings.\n\n" +
		"| key | flag | variable | default | allowed | effect |\n|---|---|---|---|---|---|\n")
	for _, s := range table(&l.Config) {
		fmt.Fprintf(&b, "| `%s` | `--%s` | `%s` | `%s` | %s | %s |\n",
			s.Key, s.Flag, s.Env(), scalar(s), s.allowed(), s.Help)
	}
	b.WriteString("\nSeveral cameras are a list, `cameras`, in the file, in place of `camera.uri`, `stream.path`, `output.video` " +
		"and `output.masks`. What an entry leaves out is as the section `camera` has it. Its keys:\n\n" +
		"| key | allowed | effect |\n|---|---|---|\n")
	listed := Listed{Camera: l.Config.Camera}
	for _, s := range listed.settings() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name(), s.allowed(), s.Help)
	}
	golden(t, "README.md", b.String())
}

func TestDurationsLoseTheirZeros(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 5 * time.Minute: "5m", time.Hour: "1h",
		90 * time.Second: "1m30s", time.Hour + time.Second: "1h0m1s", 500 * time.Millisecond: "500ms",
		10 * time.Hour: "10h", time.Hour + 10*time.Minute: "1h10m",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(formatDuration(d)); err != nil || back != d {
			t.Errorf("%s reads back as %v, %v", want, back, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"overlay.alpha", "overlay.legend", "fps"}
	for word, want := range map[string]string{
		"overlay.alhpa": "overlay.alpha", "overlay.aplha": "overlay.alpha", "overly.legend": "overlay.legend",
		"fsp": "fps", "spf": "", "": "", "zoom": "", "overlay": "", "overlay.l": "overlay.legend",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
