package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Inference says how a network looks at a picture. The zero value is the published protocol:
// the whole picture once, at its own size.
//
// With several views of a pixel, by scales, flip and overlapping windows, their logits are
// averaged, as the published evaluation does in its sliding mode. Each scale and direction
// weighs the same.
type Inference struct {
	// Scales are factors of the picture's size; none is 1 alone.
	Scales []float64
	// Flip adds the mirrored picture, at each scale.
	Flip bool
	// Window is the side in pixels of squares that the scaled picture is cut into, which
	// overlap by a third; 0 is the whole picture. Instance norms then see a window's
	// statistics.
	Window int
	Framing
}

// The limits of scales and windows.
const (
	minScale, maxScale = 0.1, 4
	minWindow          = 32
)

// Validate reports everything that is wrong, joined.
func (o Inference) Validate() error {
	var errs []error
	for _, scale := range o.Scales {
		if !(scale >= minScale && scale <= maxScale) {
			errs = append(errs, fmt.Errorf("scale %v: %v to %v are possible", scale, minScale, maxScale))
		}
	}
	if o.Window != 0 && o.Window < minWindow {
		errs = append(errs, fmt.Errorf("windows of %d pixels: %d or more are possible, 0 for whole pictures", o.Window, minWindow))
	}
	return errors.Join(append(errs, o.Framing.validate())...)
}

// Network is a [Predictor] by a network in libtorch.
type Network struct {
	scope     *torch.Scope
	model     *model.Model
	inference Inference
}

// NewNetwork returns a predictor that runs on the goroutine of s, on whose device the model's
// weights are. The weights are read at each picture, so a model in training is seen as it is
// then. An invalid o is an error of the first Predict.
func NewNetwork(s *torch.Scope, m *model.Model, o Inference) *Network {
	o.Scales = slices.Clone(o.Scales)
	if len(o.Scales) == 0 {
		o.Scales = []float64{1}
	}
	return &Network{scope: s, model: m, inference: o}
}

// Predict implements [Predictor]: the class of the highest logit at the picture's resolution.
// Nothing but the result outlives it. It ends with ctx between two passes of the network.
func (n *Network) Predict(ctx context.Context, p *data.Picture) (ids []uint8, err error) {
	if err := errors.Join(n.inference.Validate(), check(p)); err != nil {
		return nil, err
	}
	n.scope.NoGrad(func(s *torch.Scope) {
		var logits *torch.Tensor
		if logits, err = n.logits(ctx, s, p); err != nil {
			return
		}
		// libtorch 1.13 finds maxima along neighbours in memory three times faster.
		classes := s.Int64s(s.Argmax(s.Call("contiguous", s.Call("permute", logits, []int{0, 2, 3, 1})), 3))
		if err = s.Err(); err != nil {
			return
		}
		ids = make([]uint8, len(classes))
		for i, c := range classes {
			ids[i] = uint8(c)
		}
	})
	return ids, err
}

func (n *Network) frame(p *data.Picture) (*data.Picture, error) { return n.inference.apply(p) }

// logits returns the sum over scales and directions [1, classes, Height, Width].
func (n *Network) logits(ctx context.Context, s *torch.Scope, p *data.Picture) (sum *torch.Tensor, err error) {
	for _, scale := range n.inference.Scales {
		width, height := scaled(p.Width, scale), scaled(p.Height, scale)
		rgb, err := resizeRGB(p, width, height)
		if err != nil {
			return nil, err
		}
		x := model.Pictures(s, rgb, 1, height, width)
		views := []bool{false}
		if n.inference.Flip {
			views = append(views, true)
		}
		for _, flip := range views {
			view, err := n.view(ctx, s, x, flip, p.Height, p.Width)
			if err != nil {
				return nil, err
			}
			if sum == nil {
				sum = view
			} else {
				s.AddInPlace(sum, view, 1)
				s.Free(view)
			}
		}
		s.Free(x)
	}
	return sum, s.Err()
}

// view returns the logits of a normalised picture, or its mirror image, at height×width.
func (n *Network) view(ctx context.Context, s *torch.Scope, x *torch.Tensor, flip bool, height, width int) (logits *torch.Tensor, err error) {
	columns := []int{3}
	s.In(func(s *torch.Scope) {
		if flip {
			x = s.Call("flip", x, columns)
		}
		if logits, err = n.windows(ctx, s, x); err != nil {
			return
		}
		if flip {
			logits = s.Call("flip", logits, columns)
		}
		if logits.Dim(2) != height || logits.Dim(3) != width {
			logits = s.ResizeBilinear(logits, height, width)
		}
		logits = s.Return(logits)
	})
	return logits, err
}

// windows returns the logits of a picture, each pixel's mean over the windows that hold it.
func (n *Network) windows(ctx context.Context, s *torch.Scope, x *torch.Tensor) (*torch.Tensor, error) {
	height, width := x.Dim(2), x.Dim(3)
	rows, columns := starts(height, n.inference.Window), starts(width, n.inference.Window)
	if len(rows) == 1 && len(columns) == 1 {
		return n.pass(ctx, s, x)
	}
	h, w := min(height, n.inference.Window), min(width, n.inference.Window)
	sum := s.Zeros(torch.Float32, 1, n.model.Net.Spec.Classes, height, width)
	times := s.Zeros(torch.Float32, 1, 1, height, width)
	one := s.Ones(torch.Float32, 1, 1, 1, 1)
	for _, row := range rows {
		for _, column := range columns {
			window := func(s *torch.Scope, t *torch.Tensor) *torch.Tensor {
				return s.Narrow(s.Narrow(t, 2, row, h), 3, column, w)
			}
			var err error
			s.In(func(s *torch.Scope) {
				var logits *torch.Tensor
				logits, err = n.pass(ctx, s, s.Call("contiguous", window(s, x)))
				s.AddInPlace(window(s, sum), logits, 1)
				s.AddInPlace(window(s, times), one, 1)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return s.Call("div_.Tensor", sum, times), s.Err()
}

// pass runs the network once.
func (n *Network) pass(ctx context.Context, s *torch.Scope, x *torch.Tensor) (*torch.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return n.model.Forward(s, x, model.Inference, n.model.Net.Logits)[0], s.Err()
}

// starts returns where windows along a side begin: two thirds of a window apart, the last one
// at the end.
func starts(side, window int) []int {
	if window == 0 || window >= side {
		return []int{0}
	}
	var at []int
	for start := 0; start < side-window; start += max(1, window*2/3) {
		at = append(at, start)
	}
	return append(at, side-window)
}
