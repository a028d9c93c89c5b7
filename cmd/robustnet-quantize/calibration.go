package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/calibrate"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// tableFile is where the table is stored in the folder of the run.
const tableFile = "calibration.json"

// calibrateModel makes or reads the table, and chooses the ranges.
func (j *job) calibrateModel(ctx context.Context) (err error) {
	if j.calibration != "" {
		if err = j.readTable(); err == nil {
			err = j.writeTable()
		}
	} else {
		err = j.makeTable(ctx)
	}
	if err != nil {
		return err
	}
	if j.float, err = j.network.Placer(j.table, j.choice()); err != nil {
		return err
	}
	if j.placer = j.float; j.equalised != nil {
		if j.placer, err = j.equalised.Placer(j.table, j.choice()); err != nil {
			return err
		}
	}
	j.report.Calibration = report.Calibration{Pictures: j.table.Pictures, Range: j.choice(), Equalised: j.equalised != nil,
		Corrected: j.biasCorrection, Adapted: j.grams != nil}
	return nil
}

// writeTable stores the table as far as it has come, so that nothing that follows can lose it.
func (j *job) writeTable() error {
	return quantize.WriteTable(filepath.Join(j.out, tableFile), j.table)
}

// readTable reads that of an earlier run.
func (j *job) readTable() (err error) {
	if j.table, err = quantize.ReadTable(j.calibration); err != nil {
		return fmt.Errorf("--calibration: %w", err)
	}
	if j.table.Model != j.report.Model.SHA256 {
		return fmt.Errorf("--calibration %s: it is of another model than %s; calibrate this one with --calibrate", j.calibration, j.model)
	}
	if !j.equalise {
		return nil
	}
	if j.table.Equalised == nil {
		return cli.Usagef("--calibration %s has no ranges of the equalised model: its run was stopped, or had --equalise=false; give that, too, or calibrate anew", j.calibration)
	}
	if j.equalised, err = quantize.Open(j.graph); err != nil {
		return err
	}
	if err := j.equalised.ApplyFactors(j.table.Equalised.Factors); err != nil {
		return fmt.Errorf("--calibration %s: %w", j.calibration, err)
	}
	return nil
}

func (j *job) makeTable(ctx context.Context) (err error) {
	from, err := j.openSources(ctx)
	if err != nil {
		return err
	}
	if j.table, err = j.observe(ctx, "calibrating", j.network, from); err != nil {
		return err
	}
	if err := j.writeTable(); err != nil {
		return err
	}
	if j.equalise {
		if j.equalised, err = quantize.Open(j.graph); err != nil {
			return err
		}
		if _, err := j.equalised.Equalise(j.table); err != nil {
			return err
		}
		again, err := j.observe(ctx, "calibrating the equalised model", j.equalised, from)
		if err != nil {
			return err
		}
		j.table.Equalised = &quantize.Equalised{Factors: j.equalised.Factors(), Tensors: again.Tensors}
		if err := j.writeTable(); err != nil {
			return err
		}
	}
	if j.adaround {
		if err := j.recordGrams(ctx, from); err != nil {
			return err
		}
	}
	j.progress.Clear()
	p := j.table.Pictures
	fmt.Fprintf(j.log, "calibrated on %s in %s of %s\n", terminal.Plural(p.Count, "picture"), terminal.Plural(p.Views, "view"), strings.Join(p.Sources, ", "))
	return nil
}

// observe runs a network over the pictures.
func (j *job) observe(ctx context.Context, stage string, network *quantize.Network, from []calibrate.Source) (table *quantize.Table, err error) {
	err = j.eachPart(network, func(probe *ort.Probe, tensors []string, part string) error {
		partial, err := calibrate.Run(ctx, probe, tensors, from, j.calibrating(stage+part))
		if err == nil && table != nil {
			maps.Copy(partial.Tensors, table.Tensors)
		}
		table = partial
		return err
	})
	return table, err
}

// observedBytes is about how much memory the tensors may take that are looked at in one run.
const observedBytes = 96 << 20

// eachPart calls watch for parts of the network's tensors that are small enough to be held at a
// time, with a model that computes them and a text for the progress.
func (j *job) eachPart(network *quantize.Network, watch func(probe *ort.Probe, tensors []string, part string) error) error {
	// The C library keeps what was freed by thread: on one, the memory of a part serves the next.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := network.Probe()
	tensors, err := ort.Outputs(all, j.engineOptions())
	if err != nil {
		return err
	}
	parts := calibrate.Parts(tensors, observedBytes)
	for i, part := range parts {
		var names []string
		for _, v := range part {
			names = append(names, v.Name)
		}
		title := ""
		if len(parts) > 1 {
			title = fmt.Sprintf(", part %d of %d", i+1, len(parts))
		}
		probe, err := ort.OpenProbe(all.WithOutputs(part...), j.engineOptions())
		if err != nil {
			return err
		}
		if err := errors.Join(watch(probe, names, title), probe.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) calibrating(stage string) calibrate.Options {
	return calibrate.Options{Count: j.count, Seed: j.seed, Styles: j.styles, ModelHash: j.report.Model.SHA256,
		Progress: func(done, total int) { j.progress.Show(stage, done, total) }}
}

// gramPictures are enough to round weights by.
const gramPictures = 32

// recordGrams runs the network that is to be quantised once more.
func (j *job) recordGrams(ctx context.Context, from []calibrate.Source) error {
	network := cmp.Or(j.equalised, j.network)
	j.grams = quantize.Grams{}
	return j.eachPart(network, func(probe *ort.Probe, tensors []string, part string) error {
		o := j.calibrating("adaptive rounding" + part)
		if o.Count == 0 || o.Count > gramPictures {
			o.Count = gramPictures
		}
		recorder := network.NewGramRecorder(tensors, j.seed)
		_, err := calibrate.Observe(ctx, probe, from, o, recorder.Record)
		maps.Copy(j.grams, recorder.Grams())
		return err
	})
}

// videoEndings are those by which a file is taken for a video.
var videoEndings = []string{".mp4", ".m4v", ".mkv", ".avi", ".mov", ".ts", ".webm"}

func (j *job) openSources(ctx context.Context) ([]calibrate.Source, error) {
	var from []calibrate.Source
	for _, text := range j.calibrate {
		source, err := openSource(ctx, text)
		if err != nil {
			return nil, fmt.Errorf("--calibrate: %w", err)
		}
		from = append(from, source)
	}
	return from, nil
}

func openSource(ctx context.Context, text string) (calibrate.Source, error) {
	info, err := os.Stat(text)
	if err == nil && !info.IsDir() && slices.Contains(videoEndings, strings.ToLower(filepath.Ext(text))) {
		return calibrate.OpenVideo(ctx, text)
	}
	set, _, err := sources.Pictures(text)
	if err != nil {
		return nil, err
	}
	return calibrate.Set{Set: set}, nil
}

// engineOptions are those of models that run as fast as they can.
func (j *job) engineOptions() ort.Options {
	o := ort.Options{Library: j.onnxRuntime, Threads: j.threads}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	return o
}
