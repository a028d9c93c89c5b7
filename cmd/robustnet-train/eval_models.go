package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/model"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// evalModel is a model that is to be evaluated. Its weights are not in memory until with.
type evalModel struct {
	name, path string
	file       bool // a model file, not a run folder
	classes    labels.Set
	// iteration is that of the run's checkpoint, known within with.
	iteration int
	// adapted says that it has seen pictures of a target domain.
	adapted bool
}

// openModels finds the models and names them: by the last part of their paths, checkpoints by
// the last two, or by the whole where these are equal.
func (o *evalOptions) openModels() ([]*evalModel, error) {
	var models []*evalModel
	for _, path := range o.models {
		m := &evalModel{path: filepath.Clean(path), file: strings.HasSuffix(path, ".onnx")}
		if slices.ContainsFunc(models, func(other *evalModel) bool { return other.path == m.path }) {
			return nil, cli.Usagef("--model %s is named twice", path)
		}
		if err := m.read(); err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	named := map[string]int{}
	for _, m := range models {
		whole, err := filepath.Abs(m.path)
		if err != nil {
			return nil, err
		}
		m.name = filepath.Base(whole)
		if folder := trainrun.Folder(whole); folder != whole {
			m.name = filepath.Base(folder) + "/" + m.name
		}
		named[m.name]++
	}
	for _, m := range models {
		if named[m.name] > 1 {
			m.name = m.path
		}
	}
	return models, o.checkModels(models)
}

// checkModels refuses flags that mean nothing to a model.
func (o *evalOptions) checkModels(models []*evalModel) error {
	isFile := func(m *evalModel) bool { return m.file }
	if i := slices.IndexFunc(models, isFile); i >= 0 {
		for _, flag := range []string{"scales", "flip", "window"} {
			if o.changed(flag) {
				return cli.Usagef("--%s is for run folders: the model file %s sees whole pictures at one size", flag, models[i].path)
			}
		}
	}
	if o.changed("device") && !slices.ContainsFunc(models, func(m *evalModel) bool { return !m.file }) {
		return cli.Usagef("--device is for run folders; model files run on the CPU")
	}
	return nil
}

// read learns what the model's classes are.
func (m *evalModel) read() error {
	if m.file {
		content, err := os.ReadFile(m.path)
		if err != nil {
			return fmt.Errorf("open model: %w", err)
		}
		card, err := trt.ReadCard(content)
		if err != nil {
			return fmt.Errorf("model %s: %w", m.path, err)
		}
		m.classes = labels.Set{Name: "its card", Classes: card.Classes, Ignore: card.Ignore}
		return nil
	}
	config, err := trainrun.ReadConfig(trainrun.Folder(m.path))
	if err != nil {
		return err
	}
	m.classes, m.adapted = config.Labels, config.Adapted != ""
	return nil
}

// with calls f with the model in memory.
func (m *evalModel) with(ctx context.Context, o *evalOptions, f func(evaluate.Predictor) error) error {
	if m.file {
		engine, err := ort.Open(m.path, ort.Options{Library: o.onnxRuntime, Threads: o.threads})
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, engine.Interrupt)()
		p := evaluate.NewEngine(engine)
		p.Framing = o.inference.Framing
		return errors.Join(f(p), engine.Close())
	}
	r, err := trainrun.OpenCheckpoint(m.path)
	if err != nil {
		return err
	}
	m.iteration = r.Progress.Iterations
	return o.onTorch(func(s *torch.Scope) error {
		net, err := model.New(s, r.Net, r.Weights)
		if err != nil {
			return err
		}
		return f(evaluate.NewNetwork(s, net, o.inference))
	})
}
