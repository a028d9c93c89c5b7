// Package faketest builds a TensorRT that needs no GPU, for tests of the native path; the README
// in trt/nvinfer/fake says what it does. Without TensorRT's headers, tests that ask for it are
// skipped.
package faketest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// Headers are the folders of TensorRT's headers in the variable TENSORRT_INCLUDE.
func Headers(tb testing.TB) []string {
	tb.Helper()
	folders := filepath.SplitList(os.Getenv("TENSORRT_INCLUDE"))
	if len(folders) == 0 {
		tb.Skip("set TENSORRT_INCLUDE to folders of TensorRT's headers, separated by colons")
	}
	return folders
}

// Shim builds the fake for a folder of headers, with the sanitizers of addresses and undefined
// behaviour if asked for, and returns the path of the shim for it.
func Shim(tb testing.TB, headers string, sanitized bool) string {
	tb.Helper()
	_, self, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(self), "..", "..", "..")
	build := exec.Command(filepath.Join(root, "packaging", "build-tensorrt-fake.sh"))
	build.Env = append(os.Environ(), "TENSORRT_INCLUDE="+headers, "SANITIZE=")
	if sanitized {
		build.Env = append(build.Env, "SANITIZE=1")
	}
	out, err := build.CombinedOutput()
	if err != nil {
		tb.Fatalf("build the fake: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	shims, err := filepath.Glob(filepath.Join(root, lines[len(lines)-1], "librobustnet-trt*.so"))
	if err != nil || len(shims) != 1 {
		tb.Fatalf("shims %v, %v", shims, err)
	}
	return shims[0]
}

// Use builds the fake of the first folder of headers, and has this process and its children use
// it. The variables last as long as the test.
func Use(t *testing.T) {
	t.Helper()
	t.Setenv("ROBUSTNET_MODEL_LIBRARY", trttest.Library(t))
	t.Setenv("ROBUSTNET_TENSORRT_LIBRARY", Shim(t, Headers(t)[0], false))
}

// Sanitizers returns the variables with which a program that was not compiled with the
// sanitizers runs libraries that were.
func Sanitizers(tb testing.TB) []string {
	tb.Helper()
	var paths []string
	for _, name := range []string{"libasan.so", "libubsan.so"} {
		out, err := exec.Command("c++", "-print-file-name="+name).Output()
		path := strings.TrimSpace(string(out))
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			tb.Fatalf("find the sanitizers' library %s: %v", name, err)
		}
		paths = append(paths, path)
	}
	// Go keeps memory that it never gives back, and faults on purpose.
	return []string{"LD_PRELOAD=" + strings.Join(paths, ":"), "ASAN_OPTIONS=detect_leaks=0:handle_segv=0:abort_on_error=1", "UBSAN_OPTIONS=print_stacktrace=1"}
}
