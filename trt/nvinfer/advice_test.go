package nvinfer

import (
	"strings"
	"testing"
)

func TestStepAfter(t *testing.T) {
	const tail = ": cannot open shared object file: No such file or directory"
	for said, want := range map[string]string{
		"librobustnet-trt10.so: libnvinfer.so.10" + tail:     "apt-get install tensorrt",
		"librobustnet-trt10.so: libnvdla_compiler.so" + tail: "nvidia-l4t-dla-compiler",
		"librobustnet-trt10.so: libcuda.so.1" + tail:         "nvidia-l4t-cuda",
		"librobustnet-trt10.so: libcudart.so.12" + tail:      "apt-get install tensorrt",
	} {
		got := stepAfter(said)
		if !strings.Contains(got, want) {
			t.Errorf("after %q: %q, want %q in it", said, got, want)
		}
		// robustnet-edge doctor tells the fault from the advice by this.
		if !strings.HasPrefix(got, "on a Jetson, ") {
			t.Errorf("after %q: %q begins in another way", said, got)
		}
	}
}
