// Package shimtest makes a shim that needs no TensorRT, for tests of what is above it. Its GPU is
// named "Orin (fake)"; its engines have the inputs and outputs of trttest's default model, and a
// mask that is the red of every other pixel. The variable FAKE_SHIM chooses faults of loading
// and building; plans that begin with "PLAN " and end in the name of a fault those of running:
// testdata/shim.c has them.
package shimtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Library compiles the shim, and returns its path.
func Library(tb testing.TB) string {
	tb.Helper()
	_, self, _, _ := runtime.Caller(0)
	path := filepath.Join(tb.TempDir(), "librobustnet-trt10.so")
	source, header := filepath.Join(filepath.Dir(self), "testdata", "shim.c"), filepath.Join(filepath.Dir(self), "..", "shim", "shim.h")
	// go test takes the outcome from its cache as long as what a test itself has looked at is the
	// same.
	for _, file := range []string{source, header} {
		if _, err := os.Stat(file); err != nil {
			tb.Fatal(err)
		}
	}
	if err := compile(source, path); err != nil {
		tb.Fatal(err)
	}
	return path
}

func compile(source, path string) error {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	out, err := exec.Command(cc, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", path, source).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile %s: %w\n%s", source, err, out)
	}
	return nil
}
