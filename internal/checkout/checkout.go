// Package checkout finds files of a checkout for tests, which run in the folders of their
// packages.
package checkout

import (
	"os"
	"path/filepath"
	"testing"
)

// Built returns the absolute path of a file that `make setup` makes, such as
// lib/libonnxruntime.so.1, or of that which the environment variable names. It skips the test
// where there is none.
func Built(tb testing.TB, file, variable string) string {
	tb.Helper()
	path := os.Getenv(variable)
	if path == "" {
		path = filepath.Join(root(tb), "build", file)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("%s is not here; run make setup, or set %s: %v", filepath.Base(file), variable, err)
	}
	return path
}

// root returns the folder of go.mod.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no folder above has a go.mod")
		}
		dir = filepath.Dir(dir)
	}
}
