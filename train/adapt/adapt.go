// Package adapt fits a trained network to a target domain of which there are pictures without
// labels. That is domain adaptation, not generalisation: results of an adapted network on that
// domain say nothing about domains that it has not seen.
package adapt

import (
	"context"
	"errors"
	"fmt"
	"image"
	"iter"
	"slices"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Options say how batch norms are adapted.
type Options struct {
	// Batch is the number of pictures of one size that go through the network together; the
	// last of a size may be one more. 2 are needed, and more are better: in the pass, norms
	// see the statistics of a batch in place of the domain's.
	Batch int
	// Progress, if not nil, is called with the number of pictures done after each batch.
	Progress func(done int)
}

// Result is what an adaptation has seen.
type Result struct {
	Pictures int
	// Left are pictures that nothing was learnt from, because no other had their size.
	Left int
}

// BatchNorm replaces the running statistics of every batch norm of m by those of the pictures:
// AdaBN (Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", ICLR
// 2017 workshop). Everything else stays as it is.
//
// The pictures go through the network once. Each batch norm normalises with the statistics of
// the batch, so that deeper ones see features that were adapted, too, and not those of the
// source's statistics. Meanwhile the mean and the variance over all values of all pictures are
// gathered; with pictures of several sizes, larger ones weigh more. The variance is the
// unbiased one, as in PyTorch.
//
// It ends soon after ctx, with its error. After an error, which may be one of the pictures,
// the statistics are as before, unless libtorch itself has failed. Networks with norms that
// keep statistics of another kind (sw, iternorm) are refused.
func BatchNorm(ctx context.Context, s *torch.Scope, m *model.Model, pictures iter.Seq2[*data.Picture, error], o Options) (Result, error) {
	r, err := batchNorm(ctx, s, m, pictures, o)
	if err != nil {
		return r, fmt.Errorf("adapt batch norms: %w", err)
	}
	return r, nil
}

func batchNorm(ctx context.Context, s *torch.Scope, m *model.Model, pictures iter.Seq2[*data.Picture, error], o Options) (r Result, err error) {
	if o.Batch < 2 {
		return r, fmt.Errorf("batches of %d: take 2 pictures or more, for one has no variance behind the ASPP's pooling", o.Batch)
	}
	for _, n := range m.Net.Nodes {
		if n.Op == nn.SwitchWhiten || n.Op == nn.IterWhiten {
			return r, fmt.Errorf("the %s at %s keeps statistics of its own, which cannot be adapted", n.Op, n.Key)
		}
	}
	g := newGathering(m, o)
	defer g.end()
	before := g.running(s)
	defer func() {
		if err != nil {
			g.write(s, before) // does nothing where libtorch has failed
		}
	}()
	if err := g.all(ctx, s, pictures); err != nil {
		return g.result, err
	}
	switch {
	case g.result.Pictures == 0 && g.result.Left == 0:
		return g.result, errors.New("there are no pictures")
	case g.result.Pictures == 0:
		return g.result, fmt.Errorf("none of %d pictures has another of its size to share a batch with", g.result.Left)
	}
	g.write(s, g.gathered())
	return g.result, s.Err()
}

// gathering is one adaptation.
type gathering struct {
	model    *model.Model
	options  Options
	mixStyle float64
	norms    []nn.Node
	moments  map[string]*moments // by the keys of the norms
	result   Result
}

func newGathering(m *model.Model, o Options) *gathering {
	g := &gathering{model: m, options: o, mixStyle: m.MixStyle, moments: map[string]*moments{}}
	for _, n := range m.Net.Nodes {
		if n.Op == nn.BatchNorm {
			g.norms = append(g.norms, n)
			g.moments[n.Key] = newMoments(n.Channels)
		}
	}
	m.MixStyle, m.WatchBatchNorm = 0, g.watch
	return g
}

func (g *gathering) end() { g.model.MixStyle, g.model.WatchBatchNorm = g.mixStyle, nil }

// watch adds the features in front of a norm.
func (g *gathering) watch(s *torch.Scope, norm nn.Node, x *torch.Tensor) {
	s.In(func(s *torch.Scope) {
		const unbiased, keepDims = false, false
		mean := s.Float64s(s.MeanDims(x, keepDims, 0, 2, 3))
		variance := s.Float64s(s.Call("var.dim", x, []int{0, 2, 3}, unbiased, keepDims))
		if s.Err() == nil {
			g.moments[norm.Key].add(float64(x.Numel()/x.Dim(1)), mean, variance)
		}
	})
}

// maxSizes bounds the pictures that wait for others of their size.
const maxSizes = 64

// all passes the pictures, in batches of one size. So that no batch has one picture only, a
// batch leaves two behind or none.
func (g *gathering) all(ctx context.Context, s *torch.Scope, pictures iter.Seq2[*data.Picture, error]) error {
	waiting := map[image.Point][]*data.Picture{}
	var sizes []image.Point // of those that wait, in the order of their first pictures
	for p, err := range pictures {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		size := image.Pt(p.Width, p.Height)
		if waiting[size] == nil {
			sizes = append(sizes, size)
		}
		waiting[size] = append(waiting[size], p)
		if len(waiting[size]) == g.options.Batch+2 {
			if err := g.pass(ctx, s, waiting[size][:g.options.Batch]); err != nil {
				return err
			}
			waiting[size] = slices.Clone(waiting[size][g.options.Batch:])
		}
		if len(sizes) > maxSizes {
			if err := g.pass(ctx, s, waiting[sizes[0]]); err != nil {
				return err
			}
			delete(waiting, sizes[0])
			sizes = sizes[1:]
		}
	}
	for _, size := range sizes {
		if err := g.pass(ctx, s, waiting[size]); err != nil {
			return err
		}
	}
	return nil
}

// pass runs a batch of pictures of one size through the network, unless it is one only.
func (g *gathering) pass(ctx context.Context, s *torch.Scope, batch []*data.Picture) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(batch) < 2 {
		g.result.Left += len(batch)
		return nil
	}
	var rgb []uint8
	for _, p := range batch {
		rgb = append(rgb, p.RGB...)
	}
	s.NoGrad(func(s *torch.Scope) {
		x := model.Pictures(s, rgb, len(batch), batch[0].Height, batch[0].Width)
		g.model.Forward(s, x, model.Training, g.model.Net.Scores, g.model.Net.Aux)
	})
	g.result.Pictures += len(batch)
	if g.options.Progress != nil {
		g.options.Progress(g.result.Pictures)
	}
	return s.Err()
}

// statistics are running means and variances by their keys.
type statistics map[string][]float32

const meanName, varianceName = ".running_mean", ".running_var"

// running returns the norms' statistics.
func (g *gathering) running(s *torch.Scope) statistics {
	all := statistics{}
	for _, n := range g.norms {
		for _, name := range []string{meanName, varianceName} {
			all[n.Key+name] = s.Float32s(g.model.Value(n.Key + name))
		}
	}
	return all
}

// gathered returns the statistics of the pictures.
func (g *gathering) gathered() statistics {
	all := statistics{}
	for _, n := range g.norms {
		all[n.Key+meanName], all[n.Key+varianceName] = g.moments[n.Key].running()
	}
	return all
}

func (g *gathering) write(s *torch.Scope, all statistics) {
	for key, values := range all {
		s.Write(g.model.Value(key), values)
	}
}
