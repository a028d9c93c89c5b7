package trttest

import (
	"testing"

	"github.com/robustnet-edge/robustnet/internal/checkout"
)

// Library returns the path of the ONNX Runtime under test: ROBUSTNET_MODEL_LIBRARY or that of
// `make setup`. It skips the test where there is none.
func Library(tb testing.TB) string {
	tb.Helper()
	return checkout.Built(tb, "lib/libonnxruntime.so.1", "ROBUSTNET_MODEL_LIBRARY")
}
