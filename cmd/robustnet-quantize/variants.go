package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/compare"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// The names of variants.
const (
	fp32    = "fp32"
	fp16    = "trt-fp16"
	cpuInt8 = "cpu-int8"
	trtInt8 = "trt-int8"
	naive   = "naive"
)

// variant is a form of the model.
type variant struct {
	report.Variant
	// place makes the model with layers left in float; nil for the float model itself.
	place   func(o quantize.Options) (*onnx.Model, error)
	keep    []string
	model   *onnx.Model
	content []byte
	results []evaluate.Result
	worst   []int // picture of each domain on which it agrees least with the float model
}

// place makes all variants and writes those that are to be kept.
func (j *job) place() error {
	j.variants = []*variant{
		{Variant: report.Variant{Name: fp32}},
		{Variant: report.Variant{Name: fp16, Gated: true, Literal: true}, place: func(quantize.Options) (*onnx.Model, error) { return j.float.Half() }},
		{Variant: report.Variant{Name: cpuInt8, Gated: true}, place: j.placer.CPU},
		{Variant: report.Variant{Name: trtInt8, Gated: true, Literal: true}, place: j.placer.TensorRT},
	}
	if j.naive {
		v, err := j.naiveVariant()
		if err != nil {
			return err
		}
		j.variants = append(j.variants, v)
	}
	for _, v := range j.variants {
		v.keep = slices.Clone(j.keep)
		if err := j.make(v); err != nil {
			return err
		}
	}
	return nil
}

// naiveVariant is what a quantiser does that knows no better.
func (j *job) naiveVariant() (*variant, error) {
	placer, err := j.network.Placer(j.table, histogram.Choice{Method: histogram.MinMax})
	if err != nil {
		return nil, err
	}
	place := func(o quantize.Options) (*onnx.Model, error) {
		o.PerTensorWeights, o.CorrectBias = true, false
		return placer.CPU(o)
	}
	return &variant{Variant: report.Variant{Name: naive}, place: place}, nil
}

// make places the variant with the layers that it keeps, and writes it.
func (j *job) make(v *variant) error {
	if v.place == nil {
		v.model, v.content, v.File = j.graph, j.content, j.model
		v.Bytes = int64(len(v.content))
	} else {
		m, err := v.place(j.options(v.keep))
		if err != nil {
			return fmt.Errorf("make %s: %w", v.Name, err)
		}
		v.model = m
		// The float model's accuracy is not this one's.
		card := *j.card
		card.Accuracy = map[string]trt.Accuracy{}
		if err := export.SetCard(m, card); err != nil {
			return err
		}
		if v.Name != naive {
			v.File = filepath.Join(j.out, j.stem+"."+v.Name+".onnx")
		}
		if err := j.store(v); err != nil {
			return err
		}
	}
	summary := inspect.Inspect(v.model)
	v.Convolutions, v.Integer = summary.Convolutions, summary.Integer
	v.Kept = v.keep
	if v.Name == cpuInt8 {
		return j.checkFusion(v)
	}
	return nil
}

// originKey is the metadata key under which a quantised model says how it was made.
const originKey = "robustnet.quantization"

// origin is the value of [originKey].
type origin struct {
	Program     string           `json:"program"`
	Model       string           `json:"model_sha256"`
	Calibration string           `json:"calibration_sha256"` // over the pictures
	Range       histogram.Choice `json:"range"`
	Kept        []string         `json:"kept"`
}

// store writes the variant's model file, unless it is for comparison.
func (j *job) store(v *variant) error {
	text, err := json.Marshal(origin{j.report.Program, j.report.Model.SHA256, j.table.Pictures.Hash, j.choice(), v.keep})
	if err != nil {
		return fmt.Errorf("describe %s: %w", v.Name, err)
	}
	v.model.SetMetadata(originKey, string(text))
	if v.content, err = v.model.Marshal(); err != nil {
		return fmt.Errorf("make %s: %w", v.Name, err)
	}
	v.Bytes = int64(len(v.content))
	if v.File == "" {
		return nil
	}
	return atomicfile.Bytes(v.File, v.content)
}

// fusedShare is that of the convolutions with int8 weights that should run as integer kernels.
const fusedShare = 0.95

// checkFusion asks ONNX Runtime which kernels it runs: of a graph that it does not fuse, integer
// weights say nothing.
func (j *job) checkFusion(v *variant) error {
	kernels, err := ort.Kernels(v.Name, v.content, j.engineOptions())
	if err != nil {
		return err
	}
	v.IntegerKernels = kernels["QLinearConv"]
	if float64(v.IntegerKernels) < fusedShare*float64(v.Integer) {
		fmt.Fprintf(j.log, "%s: only %d of %d convolutions with int8 weights run as integer kernels in ONNX Runtime; the model will be slower than it could be\n", v.Name, v.IntegerKernels, v.Integer)
	}
	return nil
}

// engine opens the variant.
func (j *job) engine(v *variant) (*ort.Engine, error) {
	o := j.engineOptions()
	o.Unfused = v.Literal
	return ort.Load(v.Name, v.content, o)
}

// score runs the variant over all domains and says how it did.
func (j *job) score(ctx context.Context, v *variant) error {
	engine, err := j.engine(v)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, engine.Interrupt)()
	j.comparison.Progress = func(domain string, done, total int) { j.progress.Show(v.Name+" on "+domain, done, total) }
	v.results, err = j.comparison.Score(ctx, engine)
	v.Runtime = engine.Describe().Backend
	if err = errors.Join(err, engine.Close()); err != nil {
		return fmt.Errorf("score %s: %w", v.Name, err)
	}
	j.progress.Clear()
	v.Accuracy, v.worst = nil, nil
	for i, r := range v.results {
		v.Accuracy = append(v.Accuracy, compare.Accuracy(r, j.comparison.Agreement(i)))
		v.worst = append(v.worst, j.comparison.Worst(i))
		fmt.Fprintf(j.log, "%s on %s: mIoU %.2f (%+.2f)\n", v.Name, r.Domain, r.MIoU, r.MIoU-j.variants[0].results[i].MIoU)
	}
	return nil
}

// stamp writes what was measured onto the card of a variant's file.
func (j *job) stamp(v *variant) error {
	if v.place == nil || v.File == "" {
		return nil
	}
	card := *j.card
	card.Accuracy = map[string]trt.Accuracy{}
	for _, r := range v.results {
		card.Accuracy[r.Domain] = export.Accuracy(r, j.card.Classes)
	}
	if err := export.SetCard(v.model, card); err != nil {
		return err
	}
	return j.store(v)
}
