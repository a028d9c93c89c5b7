// Package rebuild trains small decoders that rebuild pictures from the shallow features of a
// network, to show what these features still know: from whitened ones the scene comes back,
// but not its colours and light. It is the experiment behind the reconstructed pictures in
// RobustNet (Choi et al., CVPR 2021), whose decoder is a U-Net.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Features are those of a network at its taps, from the shallowest to the deepest.
type Features struct {
	model    *model.Model
	nodes    []int
	channels []int
}

// Behind returns the features behind the norms: the whitened ones, or those at the same places
// of a network without norms.
func Behind(m *model.Model) Features {
	return features(m, func(t nn.Tap) int { return t.After })
}

// Before returns the features that the norms read.
func Before(m *model.Model) Features {
	return features(m, func(t nn.Tap) int { return t.Before })
}

func features(m *model.Model, node func(nn.Tap) int) Features {
	f := Features{model: m}
	for _, t := range m.Net.Taps {
		f.nodes = append(f.nodes, node(t))
		f.channels = append(f.channels, t.Channels)
	}
	return f
}

// of returns the features of normalised pictures x [B, 3, H, W] as the network computes them
// in inference, without gradients.
func (f Features) of(s *torch.Scope, x *torch.Tensor) (maps []*torch.Tensor) {
	s.NoGrad(func(s *torch.Scope) {
		for _, feature := range f.model.Forward(s, x, model.Inference, f.nodes...) {
			maps = append(maps, s.Return(feature))
		}
	})
	return maps
}

// Options say how a decoder is trained.
type Options struct {
	// Iterations is the number of steps, each on Batch random crops of Side×Side pixels.
	Iterations, Batch, Side int
	// MaxTime ends the training early; 0 does not.
	MaxTime time.Duration
	// Seed begins the random numbers of crops.
	Seed uint64
	// Progress, if not nil, is called after each iteration.
	Progress func(done int)
}

// check says whether decoders can be trained on the pictures.
func (o Options) check(pictures []*data.Picture) error {
	if o.Iterations < 1 || o.Batch < 1 || o.Side < 32 {
		return fmt.Errorf("%d iterations of %d crops of %d pixels: take 1 or more, 1 or more, and 32 or more", o.Iterations, o.Batch, o.Side)
	}
	if len(pictures) == 0 {
		return errors.New("there are no pictures")
	}
	for _, p := range pictures {
		if min(p.Width, p.Height) < o.Side {
			return fmt.Errorf("a picture of %d x %d pixels has no crop of %d; take smaller crops", p.Width, p.Height, o.Side)
		}
	}
	return nil
}

// learningRate is that of the first step; it falls in a straight line to zero.
const learningRate = 2e-3

// Train fits the decoder to pictures, which are Side pixels or more in both directions. The
// loss is the mean absolute error of normalised pictures; the network stays as it is. It
// returns the number of iterations done, and ends soon after ctx, with its error.
func (d *Decoder) Train(ctx context.Context, s *torch.Scope, pictures []*data.Picture, o Options) (done int, err error) {
	if err = o.check(pictures); err == nil {
		done, err = d.train(ctx, s, pictures, o)
	}
	if err != nil {
		return done, fmt.Errorf("train decoder: %w", err)
	}
	return done, nil
}

func (d *Decoder) train(ctx context.Context, s *torch.Scope, pictures []*data.Picture, o Options) (done int, err error) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x72656275696c64))
	optimiser := newAdam(s, d.params())
	began := time.Now()
	for ; done < o.Iterations && (o.MaxTime == 0 || time.Since(began) < o.MaxTime); done++ {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		rgb := crops(rng, pictures, o.Batch, o.Side)
		s.In(func(s *torch.Scope) {
			x := model.Pictures(s, rgb, o.Batch, o.Side, o.Side)
			rebuilt := d.decode(s, d.features.of(s, x), o.Side, o.Side)
			s.Backward(s.Mean(s.Abs(s.Sub(rebuilt, x))))
			optimiser.step(s, learningRate*(1-float64(done)/float64(o.Iterations)))
		})
		if err := s.Err(); err != nil {
			return done, err
		}
		if o.Progress != nil {
			o.Progress(done + 1)
		}
	}
	return done, nil
}

// crops cuts squares out of random pictures, mirrored or not.
func crops(rng *rand.Rand, pictures []*data.Picture, n, side int) []uint8 {
	rgb := make([]uint8, 0, 3*n*side*side)
	for range n {
		p := pictures[rng.IntN(len(pictures))]
		left, top, mirror := rng.IntN(p.Width-side+1), rng.IntN(p.Height-side+1), rng.IntN(2) == 1
		for y := range side {
			start := 3 * ((top+y)*p.Width + left)
			row := p.RGB[start : start+3*side]
			if !mirror {
				rgb = append(rgb, row...)
				continue
			}
			for x := len(row) - 3; x >= 0; x -= 3 {
				rgb = append(rgb, row[x:x+3]...)
			}
		}
	}
	return rgb
}

// Rebuild returns what the decoder makes of a picture's features, in the picture's size.
func (d *Decoder) Rebuild(s *torch.Scope, p *data.Picture) (*data.Picture, error) {
	rebuilt := &data.Picture{Width: p.Width, Height: p.Height}
	s.NoGrad(func(s *torch.Scope) {
		x := model.Pictures(s, p.RGB, 1, p.Height, p.Width)
		rebuilt.RGB = pixels(s, d.decode(s, d.features.of(s, x), p.Height, p.Width))
	})
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("rebuild a picture of %d x %d pixels: %w", p.Width, p.Height, err)
	}
	return rebuilt, nil
}

// pixels is what [model.Pictures] makes a normalised picture [1, 3, H, W] of.
func pixels(s *torch.Scope, x *torch.Tensor) []uint8 {
	mean, deviation := make([]float32, 3), make([]float32, 3)
	for c := range mean {
		mean[c], deviation[c] = float32(255*nn.PictureMean[c]), float32(255*nn.PictureDeviation[c])
	}
	x = s.Add(s.Mul(x, s.FromFloat32(deviation, 1, 3, 1, 1)), s.FromFloat32(mean, 1, 3, 1, 1))
	x = s.Call("clamp", s.Call("round", x), 0, 255)
	values := s.Float32s(s.Call("permute", x, []int{0, 2, 3, 1}))
	rgb := make([]uint8, len(values))
	for i, v := range values {
		rgb[i] = uint8(v)
	}
	return rgb
}
