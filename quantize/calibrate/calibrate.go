// Package calibrate runs a model on pictures to learn how the values of its tensors are spread.
package calibrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/train/data"
)

// Source has pictures to calibrate on.
type Source interface {
	// Name names the pictures for reports.
	Name() string
	// Len is their number.
	Len() int
	// Read calls each with the pictures of these places, which rise, until one fails. The
	// picture is each's to keep.
	Read(ctx context.Context, places []int, each func(p *data.Picture) error) error
}

// Model runs the network that is to be quantised; its outputs are those of
// [quantize.Network.Tensors]. The probe of package ort is one.
type Model interface {
	Run(f *camera.Frame) error
	// Pixels are what the network read in the last run.
	Pixels() []byte
	// Output returns the values of the i-th tensor and its shape, valid until the next run.
	Output(i int) (values []float32, shape []int64, err error)
}

// Options say on what to calibrate.
type Options struct {
	// Count is the number of pictures, of all sources together; 0 takes all.
	Count int
	// Seed picks them.
	Seed uint64
	// Styles shows each picture in other light and weather, too; see [Views].
	Styles bool
	// ModelHash is the SHA-256 of the model file, which the table is then bound to.
	ModelHash string
	// Progress, if not nil, is called after each run.
	Progress func(done, total int)
}

// Run fills a table for the tensors by running the model on pictures of the sources, each
// source in proportion to its size. The same pictures, options and model give the same table.
// The next picture is read while the model runs.
func Run(ctx context.Context, model Model, tensors []string, from []Source, o Options) (*quantize.Table, error) {
	recorder := quantize.NewRecorder(tensors)
	about, err := Observe(ctx, model, from, o, recorder.Record)
	if err != nil {
		return nil, err
	}
	return recorder.Table(o.ModelHash, about), nil
}

// Observe is [Run] for what else is to be recorded of each run: record is told how to get at the
// i-th tensor.
func Observe(ctx context.Context, model Model, from []Source, o Options, record func(tensor func(i int) ([]float32, []int64, error)) error) (quantize.Pictures, error) {
	picks, count := pick(from, o)
	if count == 0 {
		return quantize.Pictures{}, errors.New("calibrate: there are no pictures")
	}
	c := &calibration{model: model, record: record, hash: sha256.New(), options: o, total: count}
	about := quantize.Pictures{Count: count, Seed: o.Seed}
	if o.Styles {
		c.views = Views(o.Seed)
		c.total *= 1 + ViewsPerPicture
		about.Style = styleNames()
	}
	for i, source := range from {
		about.Sources = append(about.Sources, source.Name())
		if err := c.source(ctx, source, picks[i]); err != nil {
			return quantize.Pictures{}, fmt.Errorf("calibrate on %s: %w", source.Name(), err)
		}
	}
	about.Views, about.Hash = c.done, hex.EncodeToString(c.hash.Sum(nil))
	return about, nil
}

// pick chooses pictures of each source at random.
func pick(from []Source, o Options) (places [][]int, count int) {
	var sizes []int
	for _, source := range from {
		sizes = append(sizes, source.Len())
	}
	for i, n := range shares(sizes, o.Count) {
		rng := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		chosen := rng.Perm(sizes[i])[:n]
		slices.Sort(chosen)
		places = append(places, chosen)
		count += n
	}
	return places, count
}

// shares divides a count among sources by their sizes; 0 takes all. One picture at least is of
// each, if they are enough for that.
func shares(sizes []int, count int) []int {
	all := 0
	for _, size := range sizes {
		all += size
	}
	if count == 0 || count > all {
		count = all
	}
	of, before := make([]int, len(sizes)), 0
	for i, size := range sizes {
		// The shares of all together are rounded to whole pictures without one to spare.
		of[i] = (before+size)*count/max(all, 1) - before*count/max(all, 1)
		before += size
	}
	for i, size := range sizes {
		if most := slices.Max(of); of[i] == 0 && size > 0 && most > 1 {
			of[slices.Index(of, most)]--
			of[i] = 1
		}
	}
	return of
}

// Parts splits float32 tensors, in their order, so that those of a part take about limit bytes
// or less, all parts much the same. Each part is then observed in a run of its own, which holds
// no other tensors. One whose size is not known counts as nothing.
func Parts(tensors []onnx.Value, limit int64) [][]onnx.Value {
	var total int64
	for _, v := range tensors {
		total += 4 * v.Elements()
	}
	var parts [][]onnx.Value
	share := float64(total) / math.Ceil(max(1, float64(total)/float64(limit)))
	before := int64(0)
	for _, v := range tensors {
		// A tensor belongs to the part in which its middle lies.
		size := 4 * v.Elements()
		part := int((float64(before) + float64(size)/2) / max(share, 1))
		if before += size; part >= len(parts) {
			parts = append(parts, nil)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], v)
	}
	return parts
}
