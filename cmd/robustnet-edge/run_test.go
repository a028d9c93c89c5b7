package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// clearEnvironment hides the tester's own settings.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "ROBUSTNET_") {
			t.Setenv(name, "") // so that it comes back after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// execute runs a command line and returns what it did.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestRun(t *testing.T) {
	clearEnvironment(t)
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for file, content := range map[string]string{
		good: "camera:\n  fps: 25\n",
		bad:  "overlay:\n  alpha: 7\nlog:\n  levle: info\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	badFaults := "robustnet-edge: the configuration has 2 faults:\n" +
		"  " + bad + ":2:10: overlay.alpha is 7; want a number from 0 to 1\n" +
		"  " + bad + ":4:3: unknown key log.levle; did you mean log.level?\n"

	for name, c := range map[string]struct {
		args   []string
		env    [2]string
		code   int
		stdout string // contained; empty means that nothing may be written
		stderr string // all of it
	}{
		"check good":          {args: []string{"check", good}, stdout: good + ": ok\n"},
		"check bad":           {args: []string{"check", bad}, code: cli.Failure, stderr: badFaults},
		"check nothing":       {args: []string{"check"}, code: cli.Usage, stderr: "robustnet-edge: check: accepts 1 arg(s), received 0; see robustnet-edge check --help\n"},
		"check missing":       {args: []string{"check", "none.yaml"}, code: cli.Failure, stderr: "robustnet-edge: read configuration: open none.yaml: no such file or directory\n"},
		"check takes no flag": {args: []string{"check", "--alpha", "1", good}, code: cli.Usage, stderr: "robustnet-edge: unknown flag: --alpha; see robustnet-edge check --help\n"},
		"check ignores variables": {args: []string{"check", good}, env: [2]string{"ROBUSTNET_CAMERA_FPS", "none"},
			stdout: good + ": ok\n"},

		"config":              {args: []string{"config"}, stdout: "  fps: 30                          # default\n"},
		"config file":         {args: []string{"config", "--config", good}, stdout: "# " + good + ":2:8\n"},
		"config flag":         {args: []string{"config", "--fps=12"}, stdout: "  fps: 12                          # --fps\n"},
		"config flag before":  {args: []string{"--fps", "12", "config"}, stdout: "  fps: 12                          # --fps\n"},
		"config variable":     {args: []string{"config"}, env: [2]string{"ROBUSTNET_CAMERA_FPS", "12"}, stdout: "# ROBUSTNET_CAMERA_FPS\n"},
		"config explain":      {args: []string{"config", "--explain"}, stdout: "  # --fps, ROBUSTNET_CAMERA_FPS: a number from 1 to 240\n"},
		"config bad file":     {args: []string{"config", "--config", bad}, code: cli.Failure, stderr: badFaults},
		"config stray":        {args: []string{"config", "x"}, code: cli.Usage, stderr: "robustnet-edge: config: unknown command \"x\" for \"robustnet-edge config\"; see robustnet-edge config --help\n"},
		"config bad variable": {args: []string{"config"}, env: [2]string{"ROBUSTNET_CAMERA_FPS", "0"}, code: cli.Failure, stderr: "robustnet-edge: ROBUSTNET_CAMERA_FPS: camera.fps is 0; want a number from 1 to 240\n"},

		"daemon bad flag":     {args: []string{"--fps", "0"}, code: cli.Usage, stderr: "robustnet-edge: --fps: camera.fps is 0; want a number from 1 to 240\n"},
		"daemon unknown flag": {args: []string{"--aplha", "0"}, code: cli.Usage, stderr: "robustnet-edge: unknown flag: --aplha; did you mean --alpha?\n"},
		"daemon short flag":   {args: []string{"-c", "x"}, code: cli.Usage, stderr: "robustnet-edge: unknown shorthand flag: 'c' in -c; see robustnet-edge --help\n"},
		"daemon flag value":   {args: []string{"--alpha"}, code: cli.Usage, stderr: "robustnet-edge: flag needs an argument: --alpha; see robustnet-edge --help\n"},
		"daemon stray":        {args: []string{"/dev/video0"}, code: cli.Usage, stderr: "robustnet-edge: unexpected argument \"/dev/video0\"; a camera is given as --camera /dev/video0\n"},
		"daemon mistyped":     {args: []string{"confg"}, code: cli.Usage, stderr: "robustnet-edge: unknown command \"confg\"; did you mean config?\n"},
		"daemon bad file":     {args: []string{"--config", bad}, code: cli.Failure, stderr: badFaults},
		"daemon unknown variable": {env: [2]string{"ROBUSTNET_CAMERA", "x"}, code: cli.Failure,
			stderr: "robustnet-edge: ROBUSTNET_CAMERA: no such setting\n"},

		"daemon provider of an engine": {args: []string{"--model", "a" + nvinfer.FileEnding, "--provider", "cuda"}, code: cli.Usage,
			stderr: "robustnet-edge: --provider: model.provider cuda is for ONNX models, and a.engine is an engine, which TensorRT itself runs; leave the provider out, or give the .onnx model\n"},

		"version":      {args: []string{"version"}, stdout: runtime.Version()},
		"version flag": {args: []string{"--version"}, stdout: "robustnet-edge " + readBuild().String() + "\n"},
		"completion":   {args: []string{"completion", "bash"}, stdout: "complete"},
		"choices":      {args: []string{"__complete", "--visualize", "s"}, stdout: "side-by-side\n", stderr: "Completion ended with directive: ShellCompDirectiveNoFileComp\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			code, stdout, stderr := execute(t, c.args...)
			if code != c.code {
				t.Errorf("exit code = %d, want %d", code, c.code)
			}
			if !strings.Contains(stdout, c.stdout) || c.stdout == "" && stdout != "" {
				t.Errorf("stdout = %q, want %q in it", stdout, c.stdout)
			}
			if stderr != c.stderr {
				t.Errorf("stderr = %q\nwant %q", stderr, c.stderr)
			}
		})
	}
}

// A provider that ONNX Runtime lacks is named before a camera is opened, or a server: the log has
// nothing of them.
func TestRunWithoutTheProvider(t *testing.T) {
	library := trttest.Library(t)
	clearEnvironment(t)
	for provider, logged := range map[string]int{"cuda": 0, "tensorrt": 1} { // that an engine takes a while
		code, stdout, stderr := execute(t, "--provider", provider, "--onnxruntime", library, "--camera", "/dev/null", "--duration", "1s")
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		last := lines[len(lines)-1]
		want := "robustnet-edge: ONNX Runtime lacks the provider " + provider + ": libonnxruntime_providers_shared.so is not in "
		if code != cli.Failure || stdout != "" || len(lines) != logged+1 || !strings.HasPrefix(last, want) || !strings.HasSuffix(last, "or use --provider cpu") {
			t.Errorf("exit code %d, %q, %q; want 1 and a last line that begins with %q", code, stdout, stderr, want)
		}
	}
}

func TestHelpGolden(t *testing.T) {
	for name, args := range map[string][]string{
		"help": {"--help"}, "help-check": {"help", "check"}, "help-config": {"config", "-h"}, "help-version": {"version", "-h"},
	} {
		code, got, stderr := execute(t, args...)
		if code != cli.OK || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr)
		}
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%v differs from %s (go test -update writes it)\ngot\n%s", args, file, got)
		}
	}
}

// The output of config is a file that check accepts and that gives the same settings.
func TestConfigOutputIsAConfigFile(t *testing.T) {
	clearEnvironment(t)
	file := filepath.Join(t.TempDir(), "edge.yaml")
	code, first, stderr := execute(t, "config", "--camera", "rtsp://u:p@host/a b", "--alpha", "0.25", "--http=off")
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := execute(t, "check", file); code != cli.OK {
		t.Errorf("check refuses it: %s", stderr)
	}
	code, second, stderr := execute(t, "config", "--config", file)
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	comments := regexp.MustCompile(`(?m) +# .*$`)
	if got, want := comments.ReplaceAllString(second, ""), comments.ReplaceAllString(first, ""); got != want {
		t.Errorf("second config\n%s\nwant\n%s", got, want)
	}
}

func TestVersionJSON(t *testing.T) {
	code, stdout, stderr := execute(t, "version", "--json")
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	if want := runtime.GOOS + "/" + runtime.GOARCH; got["platform"] != want || got["go"] != runtime.Version() {
		t.Errorf("platform %v, go %v; want %s, %s", got["platform"], got["go"], want, runtime.Version())
	}
	for _, key := range []string{"version", "revision", "modified", "encoder"} {
		if _, found := got[key]; !found {
			t.Errorf("%s is missing in %s", key, stdout)
		}
	}
}

func TestExitCodes(t *testing.T) {
	fileFault := config.Fault{Origin: config.Origin{Layer: config.LayerFile, Where: "edge.yaml:1:1"}}
	flagFault := config.Fault{Origin: config.Origin{Layer: config.LayerFlag, Where: "--fps"}}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"run time":       {errors.New("camera unplugged"), cli.Failure},
		"wrapped usage":  {fmt.Errorf("x: %w", cli.Usagef("y")), cli.Usage},
		"file":           {config.Faults{fileFault}, cli.Failure},
		"flag":           {config.Faults{flagFault}, cli.Usage},
		"file and flag":  {config.Faults{fileFault, flagFault}, cli.Usage},
		"cancel by hand": {context.Canceled, cli.Failure},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: exit code of %v = %d, want %d", name, c.err, got, c.want)
		}
	}
}

func TestLogger(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  config.Log
		want string // a pattern for all that is written
	}{
		"auto is JSON off a terminal": {config.Log{Level: "info", Format: config.LogAuto},
			`^\{"level":"info","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)","message":"hello"\}\n$`},
		"text without colours": {config.Log{Level: "debug", Format: config.LogText},
			`^\d\d:\d\d:\d\d\.\d{3} DBG quiet\n\d\d:\d\d:\d\d\.\d{3} INF hello\n$`},
		"level": {config.Log{Level: "error", Format: config.LogJSON}, `^$`},
	} {
		var b bytes.Buffer
		log := newLogger(c.cfg, &b)
		log.Debug().Msg("quiet")
		log.Info().Msg("hello")
		if got := b.String(); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s: wrote %q, want %s", name, got, c.want)
		}
	}
}
