package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/quantize/report"
)

// quick are flags of a run in which nothing but the models matters.
func quick(model string, args ...string) []string {
	return append([]string{"--model", model, "--eval", "day=scenes=day@128x96:100-100", "--max-drop", "100", "--runs", "0", "--range", "minmax"}, args...)
}

// smallStreets are pictures to calibrate on.
var smallStreets = []string{"--calibrate", "scenes=day@128x96:0-1"}

// made runs the command, wants it to succeed, and returns what it made.
func made(t *testing.T, args ...string) (r *report.Report, out string) {
	t.Helper()
	code, _, stderr, out := quantised(t, args...)
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	r, err := report.ReadJSON(filepath.Join(out, jsonFile))
	if err != nil {
		t.Fatal(err)
	}
	return r, out
}

// TestCalibrationOfOtherKind starts from tables with and without what was seen of the equalised
// model. Channels that stay as they are need the first part alone, which both have.
func TestCalibrationOfOtherKind(t *testing.T) {
	model := streetModel(t)
	equalised, withBoth := made(t, quick(model, smallStreets...)...)
	plain, withOne := made(t, quick(model, append(smallStreets, "--equalise=false")...)...)
	if !equalised.Calibration.Equalised || plain.Calibration.Equalised {
		t.Errorf("the reports say equalised %t and %t, want the first alone", equalised.Calibration.Equalised, plain.Calibration.Equalised)
	}
	for name, folder := range map[string]string{"both parts": withBoth, "the first part": withOne} {
		r, out := made(t, quick(model, "--calibration", filepath.Join(folder, tableFile), "--equalise=false")...)
		if r.Calibration.Equalised {
			t.Errorf("%s: the report says that channels were evened", name)
		}
		for _, file := range []string{"street.cpu-int8.onnx", "street.trt-int8.onnx", "street.trt-fp16.onnx"} {
			if read(t, filepath.Join(out, file)) != read(t, filepath.Join(withOne, file)) {
				t.Errorf("%s: %s is not what --equalise=false made of the pictures", name, file)
			}
		}
		if read(t, filepath.Join(out, tableFile)) != read(t, filepath.Join(folder, tableFile)) {
			t.Errorf("%s: the table has changed", name)
		}
	}
	if file := "street.cpu-int8.onnx"; read(t, filepath.Join(withBoth, file)) == read(t, filepath.Join(withOne, file)) {
		t.Error("evening the channels changes nothing")
	}
	code, _, stderr, _ := quantised(t, quick(model, "--calibration", filepath.Join(withOne, tableFile))...)
	if code != cli.Usage || !strings.Contains(stderr, "--equalise=false; give that, too") {
		t.Errorf("a table without the equalised model: exit code %d, %s", code, stderr)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
