// Package torchtest finds libtorch for tests.
package torchtest

import (
	"testing"

	"github.com/robustnet-edge/robustnet/internal/checkout"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Path returns the path of the library under test: ROBUSTNET_TORCH_LIBRARY or that of `make
// setup`. It skips the test where there is none.
func Path(tb testing.TB) string {
	tb.Helper()
	return checkout.Built(tb, "lib/librobustnet-torch.so", "ROBUSTNET_TORCH_LIBRARY")
}

// Library loads the library under test, or skips the test where there is none.
func Library(tb testing.TB) *torch.Library {
	tb.Helper()
	lib, err := torch.Load(Path(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return lib
}

// Run calls f with a scope on one thread of the CPU. f must leave no failure behind.
func Run(tb testing.TB, f func(s *torch.Scope)) {
	tb.Helper()
	err := Library(tb).Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		f(s)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}
