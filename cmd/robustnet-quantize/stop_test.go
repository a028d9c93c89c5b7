package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// endingAt is a context that ends when somebody asks for its end while a condition holds, as
// whatever works for long does: by that a run can be stopped at a certain place.
type endingAt struct {
	context.Context
	cancel  context.CancelFunc
	reached func() bool
}

func (e *endingAt) Done() <-chan struct{} {
	if e.reached() {
		e.cancel()
	}
	return e.Context.Done()
}

// stopped runs the command until the condition holds and wants it to end as one that was asked to.
func stopped(t *testing.T, out string, reached func() bool, args ...string) (stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, log bytes.Buffer
	args = append([]string{"run", "--out", out, "--onnxruntime", trttest.Library(t), "--threads", "1"}, args...)
	code := run(&endingAt{ctx, cancel, reached}, args, &stdout, &log)
	if ctx.Err() == nil {
		t.Fatalf("the run came to its end: %s", &log)
	}
	if code != cli.OK || stdout.Len() > 0 || !strings.Contains(log.String(), "stopped; what is in "+out+" is not complete\n") {
		t.Errorf("exit code %d, %q, %q; want 0 and a sentence that it stopped", code, &stdout, &log)
	}
	return log.String()
}

// TestStopInCalibration stops when some of the pictures were looked at.
func TestStopInCalibration(t *testing.T) {
	out, asked := filepath.Join(t.TempDir(), "q"), 0
	var args []string
	for _, seeds := range []string{"0-0", "1-1", "2-2", "3-3", "4-4", "5-5", "6-6", "7-7"} { // each source asks twice
		args = append(args, "--calibrate", "scenes=day@128x96:"+seeds)
	}
	log := stopped(t, out, func() bool { asked++; return asked > 8 }, quick(streetModel(t), args...)...)
	if strings.Contains(log, "--calibration") {
		t.Errorf("%q\nwant nothing to go on from: there is no table", log)
	}
	if files := filesOf(t, out); len(files) > 0 {
		t.Errorf("%v are left behind, want nothing", files)
	}
}

// TestStopAfterCalibration goes on from the table, as the sentence says, with the same outcome as
// without a stop.
func TestStopAfterCalibration(t *testing.T) {
	model, out := streetModel(t), filepath.Join(t.TempDir(), "a folder")
	made := func(name string) bool {
		_, err := os.Stat(filepath.Join(out, name))
		return err == nil
	}
	log := stopped(t, out, func() bool { return made("street.trt-int8.onnx") }, quick(model, smallStreets...)...)
	wholeFiles(t, out)
	if want := "go on without calibrating again: --calibration '" + filepath.Join(out, tableFile) + "'\n"; !strings.Contains(log, want) {
		t.Fatalf("%q\nwant %q in it", log, want)
	}
	goOn(t, model, out)
}

// TestStopInSecondCalibration stops when there is a table of the model as it was, but none of the
// equalised one. If the log says to go on from it, that has to work.
func TestStopInSecondCalibration(t *testing.T) {
	model, out := streetModel(t), filepath.Join(t.TempDir(), "q")
	log := stopped(t, out, func() bool {
		_, err := os.Stat(filepath.Join(out, tableFile))
		return err == nil
	}, quick(model, smallStreets...)...)
	wholeFiles(t, out)
	if strings.Contains(log, "--calibration") {
		goOn(t, model, out)
	}
}

// TestStopBeforeAdaround stops when the table is complete and pictures are looked at once more.
func TestStopBeforeAdaround(t *testing.T) {
	model, out := streetModel(t), filepath.Join(t.TempDir(), "q")
	log := stopped(t, out, func() bool {
		table, err := os.ReadFile(filepath.Join(out, tableFile))
		return err == nil && bytes.Contains(table, []byte(`"equalised"`))
	}, quick(model, append(smallStreets, "--adaround")...)...)
	wholeFiles(t, out)
	if strings.Contains(log, "--calibration") {
		goOn(t, model, out, "--adaround")
	}
}

// goOn runs again from the table in a folder.
func goOn(t *testing.T, model, out string, args ...string) {
	t.Helper()
	code, _, stderr, _ := quantised(t, quick(model, append(args, "--calibration", filepath.Join(out, tableFile))...)...)
	if code != cli.OK {
		t.Errorf("going on as the log says: exit code %d: %s", code, stderr)
	}
}

func filesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wholeFiles wants no file of which only a part was written.
func wholeFiles(t *testing.T, dir string) {
	t.Helper()
	for _, name := range filesOf(t, dir) {
		if strings.HasSuffix(name, ".part") {
			t.Errorf("%s is left behind", name)
		}
	}
}
