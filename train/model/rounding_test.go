package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// TestRound compares with rounding by hand, and wants gradients as if there were none, but for
// values beyond the grid.
func TestRound(t *testing.T) {
	run(t, func(s *torch.Scope) {
		m := &Model{Rounding: &Rounding{Inputs: map[string]float64{"a": 1.27}}}
		p := &pass{Model: m, s: s}
		x := s.FromFloat32([]float32{0.004, 0.006, -0.3349, 1.5, -2}, 1, 1, 1, 5)
		// The steps of the three channels are 0.01, and twice 0.5/127.
		w := s.FromFloat32([]float32{1.27, 0.004, 0.0051, -0.5, 0.5, 0.0019}, 3, 1, 1, 2)
		s.RequireGrad(x)
		s.RequireGrad(w)
		rx, rw := p.round(nn.Node{Key: "a"}, x, w)
		wantX, wantW := []float32{0, 0.01, -0.33, 1.27, -1.28}, []float32{1.27, 0, 0.5 / 127, -0.5, 0.5, 0}
		for _, c := range []struct {
			name      string
			got, want []float32
		}{{"activations", s.Float32s(rx), wantX}, {"weights", s.Float32s(rw), wantW}} {
			if !slices.EqualFunc(c.got, c.want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
				t.Errorf("%s become %v, want %v", c.name, c.got, c.want)
			}
		}
		s.Backward(s.Add(s.Call("sum", rx), s.Call("sum", rw)))
		if got, want := s.Float32s(s.Grad(x)), []float32{1, 1, 1, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("gradients of activations %v, want %v", got, want)
		}
		if got := s.Float32s(s.Grad(w)); !slices.Equal(got, []float32{1, 1, 1, 1, 1, 1}) {
			t.Errorf("gradients of weights %v, want ones", got)
		}
		if sameX, sameW := p.round(nn.Node{Key: "b"}, x, w); sameX != x || sameW != w {
			t.Error("a convolution without a grid is rounded")
		}
	})
}

func TestRoundingCheck(t *testing.T) {
	net, err := nn.New(small(func(*nn.Spec) {}))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		inputs map[string]float64
		want   string
	}{
		"right":     {map[string]float64{"layer0.0.0": 2.6}, ""},
		"none":      {nil, ""},
		"unknown":   {map[string]float64{"layer9.0.0": 1}, `no convolution "layer9.0.0"`},
		"a norm":    {map[string]float64{"layer0.0.1": 1}, `no convolution "layer0.0.1"`},
		"zero":      {map[string]float64{"layer0.0.0": 0}, "must be above 0"},
		"infinite":  {map[string]float64{"layer0.0.0": math.Inf(1)}, "must be above 0"},
		"no number": {map[string]float64{"layer0.0.0": math.NaN()}, "must be above 0"},
	} {
		if err := (Rounding{tt.inputs}).Check(net); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}
