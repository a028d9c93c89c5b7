package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// asProgram is the variable that makes the test binary behave as the program itself, so
// that tests of signals and exit codes need no other build.
const asProgram = "EDGE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // which exits
	}
	goleak.VerifyTestMain(m)
}

const (
	// patience ends a test that waits for something that does not come.
	patience = 30 * time.Second
	// stopLimit is how long stopping may take, as users are promised.
	stopLimit = 2 * time.Second
)

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// shared returns the path of test data beside the checkout, and whether it is there.
func shared(name string) (string, error) {
	path := filepath.Join(cmp.Or(os.Getenv("ROBUSTNET_SHARED"), "../../../shared"), name)
	_, err := os.Stat(path)
	return path, err
}

// needShared returns the path of test data beside the checkout, or skips.
func needShared(t *testing.T, name string) string {
	t.Helper()
	path, err := shared(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("test data is not here (set ROBUSTNET_SHARED): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// referenceModel was trained on real streets.
const referenceModel = "models/camvid_mobilenetv2_isw_reference.onnx"

// writeModel writes a model that takes next to no time, and returns its path.
func writeModel(t *testing.T, o trttest.Options) string {
	t.Helper()
	return writeFile(t, "model.onnx", trttest.Model(o))
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Pictures of clips made by makeClip.
const (
	clipWidth, clipHeight = 160, 120
	clipFPS               = 25
)

// makeClip writes a moving test picture of so many frames.
func makeClip(t *testing.T, frames int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	source := fmt.Sprintf("testsrc=size=%dx%d:rate=%d", clipWidth, clipHeight, clipFPS)
	tool(t, "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source,
		"-frames:v", fmt.Sprint(frames), "-pix_fmt", "yuv420p", "-movflags", "+faststart", path)
	return path
}

// tool runs ffmpeg or ffprobe and returns what it printed. It skips when there is none.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	needTool(t, name)
	cmd := exec.CommandContext(t.Context(), name, args...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s %q: %v: %s", name, args, err, exit.Stderr)
		}
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not here; run make setup: %v", name, err)
	}
}

// freeRTPPort finds an even UDP port whose successor is free too.
func freeRTPPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port &^ 1
		first.Close()
		if udpFree(port) && udpFree(port+1) {
			return port
		}
	}
	t.Fatal("no pair of free UDP ports")
	return 0
}

func udpFree(port int) bool {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
