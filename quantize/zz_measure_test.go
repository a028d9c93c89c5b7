package quantize_test

import (
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

func TestZZMeasure(t *testing.T) {
	specs := map[string]nn.Spec{"resnet101 isw": small(nn.ResNet101, "isw")}
	for _, method := range []nn.Method{nn.IN, nn.SW, nn.IterNorm, nn.GIW, nn.IW, nn.IRW} {
		for _, trunk := range []nn.Trunk{nn.MobileNetV2, nn.ShuffleNetV2, nn.ResNet50} {
			specs[string(trunk)+" "+string(method)] = small(trunk, method)
		}
	}
	for name, spec := range specs {
		start := time.Now()
		m := exported(t, spec)
		placer, _ := calibrated(t, open(t, m), mse)
		var names []string
		for _, v := range m.Graph.Outputs {
			if v.Elem == onnx.Float32 {
				names = append(names, v.Name)
			}
		}
		want := outputs(t, m, ort.Options{}, names...)
		for flavour, f := range map[string]struct {
			place   func(quantize.Options) (*onnx.Model, error)
			unfused bool
		}{"cpu": {placer.CPU, false}, "tensorrt": {placer.TensorRT, true}, "float16": {func(quantize.Options) (*onnx.Model, error) { return placer.Half() }, true}} {
			q, err := f.place(quantize.Options{CorrectBias: true})
			if err != nil {
				t.Errorf("%s %s: %v", name, flavour, err)
				continue
			}
			got := outputs(t, q, ort.Options{Unfused: f.unfused}, names...)
			for i, n := range names {
				t.Logf("%s %s %s: %.1f dB (%d)", name, flavour, n, quantize.SQNR(want[i], got[i]), len(want[i]))
			}
		}
		t.Logf("%s took %v", name, time.Since(start))
	}
}
