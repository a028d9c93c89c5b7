package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/safetensors"
)

// WriteEvaluations replaces the evaluations of a run folder, and keeps the confusions of
// [LastEvaluations] alone. Figures that are not finite are refused.
func WriteEvaluations(dir string, all []Evaluation) error {
	last, kept := lastOnes(all), []Evaluation{}
	for i, e := range all {
		if err := e.check(); err != nil {
			return fmt.Errorf("write evaluations: %w", err)
		}
		if !slices.Contains(last, i) {
			e.Confusion = nil
		}
		kept = append(kept, e)
	}
	return writeJSON(filepath.Join(dir, EvaluationsFile), kept, atomicfile.Write)
}

// ReadEvaluations returns the evaluations of a run folder in their order, none if there is
// no such file.
func ReadEvaluations(dir string) ([]Evaluation, error) {
	var all []Evaluation
	path := filepath.Join(dir, EvaluationsFile)
	if err := readJSON(path, &all); err != nil {
		return nil, fmt.Errorf("read evaluations: %w", err)
	}
	for _, e := range all {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("read evaluations %s: %w", path, err)
		}
	}
	return all, nil
}

func (e Evaluation) check() error {
	if len(e.Classes) != len(e.IoU) {
		return fmt.Errorf("evaluation of %q at iteration %d: %d classes, but %d IoU", e.Domain, e.Iteration, len(e.Classes), len(e.IoU))
	}
	for _, v := range append([]float64{e.MIoU, e.PixelAccuracy}, e.IoU...) {
		if !(v >= 0 && v <= 100) {
			return fmt.Errorf("evaluation of %q at iteration %d: %v is no figure of 0 to 100 points", e.Domain, e.Iteration, v)
		}
	}
	if e.Confusion != nil {
		if err := e.Confusion.check(); err != nil {
			return fmt.Errorf("evaluation of %q at iteration %d: %w", e.Domain, e.Iteration, err)
		}
	}
	return nil
}

// EvaluationsUntil returns those up to an iteration, that one included: what a training that
// resumes there has behind it.
func EvaluationsUntil(all []Evaluation, iteration int) []Evaluation {
	return slices.DeleteFunc(slices.Clone(all), func(e Evaluation) bool { return e.Iteration > iteration })
}

// LastEvaluations returns the last one of each domain, in the order in which the domains
// first appear. Adapted ones are apart: a domain may have one of either kind.
func LastEvaluations(all []Evaluation) []Evaluation {
	var last []Evaluation
	for _, i := range lastOnes(all) {
		last = append(last, all[i])
	}
	return last
}

// lastOnes are the indices of [LastEvaluations].
func lastOnes(all []Evaluation) []int {
	var last []int
	for i, e := range all {
		at := slices.IndexFunc(last, func(o int) bool { return all[o].Domain == e.Domain && all[o].Adapted == e.Adapted })
		switch {
		case at < 0:
			last = append(last, i)
		case e.Iteration >= all[last[at]].Iteration:
			last[at] = i
		}
	}
	return last
}

// WriteStatus replaces the status of a run folder.
func WriteStatus(dir string, s Status) error {
	return writeJSON(filepath.Join(dir, StatusFile), s, atomicfile.Replace)
}

// ReadStatus returns the status of a run folder. The zero status means that it was never
// trained here.
func ReadStatus(dir string) (Status, error) {
	var s Status
	if err := readJSON(filepath.Join(dir, StatusFile), &s); err != nil {
		return Status{}, fmt.Errorf("read status: %w", err)
	}
	if math.IsNaN(s.Seconds) || s.Seconds < 0 || s.Iteration < 0 || s.Iterations < 0 {
		return Status{}, fmt.Errorf("read status %s: it counts below zero", filepath.Join(dir, StatusFile))
	}
	return s, nil
}

func writeJSON(path string, value any, write func(string, func(io.Writer) error) error) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return write(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// readJSON leaves the value as it is if there is no such file.
func readJSON(path string, value any) error {
	text, err := readJournal(path)
	if err != nil || text == nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("%s: %w; move the file away to go on without it", path, err)
	}
	return nil
}

// Covariance holds the covariances of the channels at one of the network's taps, averaged over
// pictures.
type Covariance struct {
	// Tap is the tap's name.
	Tap      string
	Channels int
	// Before and After are those before and after the training, C×C, row-major. Either may be
	// nil: not measured (yet).
	Before, After []float32
}

// What the names of the matrices begin with in covariances.safetensors.
const (
	beforePrefix = "before."
	afterPrefix  = "after."
)

// WriteCovariances replaces the covariances of a run folder.
func WriteCovariances(dir string, all []Covariance) error {
	path := filepath.Join(dir, CovarianceFile)
	var tensors []safetensors.Tensor
	for _, c := range all {
		shape := []int{c.Channels, c.Channels}
		if c.Before != nil {
			tensors = append(tensors, safetensors.New(beforePrefix+c.Tap, shape, c.Before))
		}
		if c.After != nil {
			tensors = append(tensors, safetensors.New(afterPrefix+c.Tap, shape, c.After))
		}
	}
	return safetensors.Write(path, tensors)
}

// ReadCovariances returns the covariances of a run folder by the names of their taps, none if
// there is no such file.
func ReadCovariances(dir string) (all map[string]Covariance, err error) {
	all = map[string]Covariance{}
	err = readTensors(filepath.Join(dir, CovarianceFile), func(f *safetensors.File, t safetensors.Info) error {
		before, isBefore := strings.CutPrefix(t.Name, beforePrefix)
		after, isAfter := strings.CutPrefix(t.Name, afterPrefix)
		if !isBefore && !isAfter {
			return nil
		}
		if len(t.Shape) != 2 || t.Shape[0] != t.Shape[1] || t.Shape[0] < 1 {
			return fmt.Errorf("the shape %v of %.80q is not that of a covariance", t.Shape, t.Name)
		}
		values, err := safetensors.Read[float32](f, t.Name)
		if err != nil {
			return err
		}
		tap := before
		if isAfter {
			tap = after
		}
		c, known := all[tap]
		if known && c.Channels != t.Shape[0] {
			return fmt.Errorf("%.80q has %d channels before and %d after the training", tap, c.Channels, t.Shape[0])
		}
		c.Tap, c.Channels = tap, t.Shape[0]
		if isBefore {
			c.Before = values
		} else {
			c.After = values
		}
		all[tap] = c
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read covariances: %w", err)
	}
	return all, nil
}

// ReadMasks returns [Checkpoint.Masks] of a run folder's last checkpoint without reading its
// weights, none if there is no checkpoint.
func ReadMasks(dir string) (map[string][]uint8, error) {
	masks := map[string][]uint8{}
	err := readTensors(filepath.Join(dir, LastFile), func(f *safetensors.File, t safetensors.Info) (err error) {
		if tap, isMask := strings.CutPrefix(t.Name, maskPrefix); isMask {
			masks[tap], err = safetensors.Read[uint8](f, t.Name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read masks: %w", err)
	}
	return masks, nil
}

// readTensors visits the arrays of a file, none if it is missing.
func readTensors(path string, visit func(*safetensors.File, safetensors.Info) error) (err error) {
	f, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		if err := visit(f, t); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
