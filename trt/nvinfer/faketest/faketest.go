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
	for _, pattern := range []string{"trt/nvinfer/shim/*", "trt/nvinfer/shim/cuda/*", "trt/nvinfer/fake/*", "trt/nvinfer/fake/generate/*", "packaging/build-tensorrt*.sh"} {
		consult(tb, filepath.Join(root, pattern))
	}
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

// consult looks at files that only the compiler reads: go test takes the outcome from its cache
// as long as what a test itself has looked at is the same.
func consult(tb testing.TB, pattern string) {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatalf("no files %s, %v", pattern, err)
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			tb.Fatal(err)
		}
	}
}

// Use builds the fake of the first folder of headers, and has this process and its children use
// it. The variables last as long as the test.
func Use(t *testing.T) {
	t.Helper()
	t.Setenv("ROBUSTNET_MODEL_LIBRARY", trttest.Library(t))
	t.Setenv("ROBUSTNET_TENSORRT_LIBRARY", Shim(t, Headers(t)[0], false))
}

// Sanitizers returns the variables with which a program that was not compiled with the sanitizers
// uses a shim that was.
func Sanitizers(tb testing.TB, shim string) []string {
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
	return []string{
		"ROBUSTNET_TENSORRT_LIBRARY=" + shim,
		"LD_PRELOAD=" + strings.Join(paths, ":"),
		// The sanitizer loads libraries in the shim's place, which would find those beside it.
		"LD_LIBRARY_PATH=" + filepath.Dir(shim),
		// Go keeps memory that it never gives back, and handles faults itself.
		"ASAN_OPTIONS=detect_leaks=0:handle_segv=0:abort_on_error=1",
		"UBSAN_OPTIONS=print_stacktrace=1",
	}
}
