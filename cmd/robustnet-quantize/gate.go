package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/compare"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// measuredLayers is the number of layers whose loss of mIoU is measured: those that do most
// harm to the class scores.
const measuredLayers = 3

// mostDecibels stands for layers whose quantisation changes nothing: JSON has no infinity.
const mostDecibels = 200

// blamedLayers is how many are named where a gate is missed.
const blamedLayers = 5

// misses returns the losses of a variant that are too great.
func (j *job) misses(v *variant) []report.Miss {
	var all []report.Miss
	for i, r := range v.results {
		// NaN cannot be: scoring is an error where nothing is labelled.
		if drop := j.variants[0].results[i].MIoU - r.MIoU; v.Gated && drop > j.maxDrop {
			all = append(all, report.Miss{Variant: v.Name, Domain: r.Domain, Drop: drop})
		}
	}
	return all
}

// allMisses returns those of all variants.
func (j *job) allMisses() []report.Miss {
	var all []report.Miss
	for _, v := range j.variants {
		all = append(all, j.misses(v)...)
	}
	return all
}

// gate ranks the layers if it has to be known which do harm, and leaves some in float if the
// user asked for that.
func (j *job) gate(ctx context.Context) error {
	missed := slices.ContainsFunc(j.allMisses(), func(m report.Miss) bool { return m.Variant != fp16 })
	if missed || j.sensitivity {
		if err := j.rank(ctx); err != nil {
			return err
		}
	}
	if missed && j.autoKeep {
		for _, v := range j.variants {
			if err := j.keepFewest(ctx, v); err != nil {
				return err
			}
		}
	}
	g := &j.report.Gate
	g.Misses = j.allMisses()
	g.Passed = len(g.Misses) == 0
	for _, v := range j.variants {
		for _, name := range v.keep {
			if !slices.Contains(g.Kept, name) {
				g.Kept = append(g.Kept, name)
			}
		}
	}
	for i, l := range j.report.Layers {
		j.report.Layers[i].Kept = slices.Contains(g.Kept, l.Name)
		if missed && !g.Passed && i < blamedLayers {
			g.Blamed = append(g.Blamed, l.Name)
		}
	}
	return nil
}

// rank orders the layers by their harm to the class scores, and the worst of them by what they
// are measured to cost on the domain that they cost most.
func (j *job) rank(ctx context.Context) error {
	pictures, err := j.rankPictures()
	if err != nil {
		return err
	}
	o := j.options(j.keep)
	scores := func(m *onnx.Model) ([]float32, error) { return j.classScores(ctx, m, pictures) }
	ranked, err := j.placer.Rank(o, scores, func(done, total int) { j.progress.Show("ranking layers", done, total) })
	if err != nil {
		return err
	}
	j.progress.Clear()
	for i, l := range ranked {
		layer := report.Layer{Name: l.Name, Shape: l.Shape, SQNR: min(l.SQNR, mostDecibels), Drop: []float64{}}
		if i < measuredLayers {
			if layer.Drop, err = j.dropOf(ctx, l.Name); err != nil {
				return err
			}
		}
		j.report.Layers = append(j.report.Layers, layer)
	}
	slices.SortStableFunc(j.report.Layers[:min(measuredLayers, len(ranked))], func(a, b report.Layer) int {
		return cmp.Compare(slices.Max(b.Drop), slices.Max(a.Drop))
	})
	return nil
}

// rankPictures are spread over all domains.
func (j *job) rankPictures() ([]*data.Picture, error) {
	var pictures []*data.Picture
	domains := j.comparison.Domains
	each := max(1, int(math.Ceil(float64(j.ranking)/float64(len(domains)))))
	for _, set := range domains {
		for _, i := range data.Spread(each, set.Len()) {
			p, err := set.Read(i)
			if err != nil {
				return nil, fmt.Errorf("rank layers on %s: %s: %w", set.Name, set.Sample(i).Name, err)
			}
			pictures = append(pictures, p)
		}
	}
	return pictures, nil
}

// classScores runs a model on pictures and returns all of its outputs.
func (j *job) classScores(ctx context.Context, m *onnx.Model, pictures []*data.Picture) (all []float32, err error) {
	o := j.engineOptions()
	o.Unfused = true
	probe, err := ort.OpenProbe(m, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, probe.Close()) }()
	for _, p := range pictures {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := probe.Run(&camera.Frame{Pix: p.BGR(nil), Width: p.Width, Height: p.Height}); err != nil {
			return nil, err
		}
		for i := range m.Graph.Outputs {
			values, _, err := probe.Output(i)
			if err != nil {
				return nil, err
			}
			all = append(all, values...)
		}
	}
	return all, nil
}

// dropOf measures what quantising one layer alone costs on each domain.
func (j *job) dropOf(ctx context.Context, layer string) ([]float64, error) {
	o := j.options(nil)
	o.Only = []string{layer}
	m, err := j.placer.TensorRTFloat32(o)
	if err != nil {
		return nil, err
	}
	content, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	engine, err := j.engine(&variant{Variant: report.Variant{Name: layer, Literal: true}, content: content})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, engine.Interrupt)()
	alone := compare.Comparison{Domains: j.comparison.Domains, Framing: j.comparison.Framing,
		Progress: func(domain string, done, total int) { j.progress.Show(layer+" alone on "+domain, done, total) }}
	results, err := alone.Score(ctx, engine)
	if err = errors.Join(err, engine.Close()); err != nil {
		return nil, fmt.Errorf("measure layer %s: %w", layer, err)
	}
	j.progress.Clear()
	var drops []float64
	for i, r := range results {
		drops = append(drops, j.variants[0].results[i].MIoU-r.MIoU)
	}
	return drops, nil
}

// verdict is the error of a missed gate.
func (j *job) verdict() error {
	g := j.report.Gate
	if g.Passed {
		return nil
	}
	var losses []string
	for _, m := range g.Misses {
		losses = append(losses, fmt.Sprintf("%s loses %.2f on %s", m.Variant, m.Drop, m.Domain))
	}
	text := fmt.Sprintf("more than %g points of mIoU are lost: %s", j.maxDrop, strings.Join(losses, ", "))
	if len(g.Blamed) == 0 {
		return cli.Gatef("%s; accept a larger --max-drop", text)
	}
	text += "; the layers that do most harm are " + strings.Join(g.Blamed, ", ")
	if j.autoKeep {
		return cli.Gatef("%s; no number of layers in float was enough: calibrate on more pictures, or accept a larger --max-drop", text)
	}
	return cli.Gatef("%s; leave them in float with --keep or --auto-keep, or calibrate on more pictures or with --calibrate-styles", text)
}
