package nvinfer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/shimtest"
)

func engineOf(t *testing.T, plan string) *nvinfer.Engine {
	t.Helper()
	e, err := nvinfer.Open(save(t, plan, nil), nvinfer.Options{Library: shimtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestProfile(t *testing.T) {
	e := engineOf(t, "good")
	// The shim's layers take a millisecond more in each run.
	for runs, more := range map[int]time.Duration{1: 0, 2: 0, 3: time.Millisecond, 5: 2 * time.Millisecond} {
		want := []nvinfer.LayerTime{{Layer: "conv1", Time: 250*time.Microsecond + more}, {Layer: "conv2", Time: 1500*time.Microsecond + more}}
		if got, err := e.Profile(runs); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d runs: layers %v, %v; want the medians %v", runs, got, err, want)
		}
	}
	for _, runs := range []int{-1, 0, 1 << 30} {
		if _, err := e.Profile(runs); err == nil || !strings.Contains(err.Error(), "are possible") {
			t.Errorf("%d runs: %v", runs, err)
		}
	}
	if _, err := engineOf(t, "moving").Profile(2); err == nil || !strings.Contains(err.Error(), "layer conv3 was not where it was") {
		t.Errorf("layers in another order: %v", err)
	}
	broken := engineOf(t, "broken")
	if _, err := broken.Profile(1); !errors.Is(err, nvinfer.ErrBroken) {
		t.Errorf("profile on a broken GPU: %v", err)
	}
	if _, err := broken.Inspect(); !errors.Is(err, nvinfer.ErrBroken) {
		t.Errorf("inspection on a broken GPU: %v", err)
	}
}

func TestInspect(t *testing.T) {
	for plan, want := range map[string][]nvinfer.Layer{
		"good": {{Name: "conv1"}, {Name: "conv2"}},
		"detailed": {
			{Name: "conv1", Kind: "CaskConvolution", Weights: "int8", Reads: "uint8", Writes: "int8", Kernel: "ampere_int8"},
			{Name: "conv2", Kind: "Myelin", Reads: "int8", Writes: "uint8, float32"},
		},
	} {
		if got, err := engineOf(t, plan).Inspect(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", plan, got, err, want)
		}
	}
}
