package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/export"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// stylePictures is how many pictures the style statistics are taken from at most.
const stylePictures = 500

// noSource leaves the style statistics out.
const noSource = "none"

// measurement is what is measured for a model's card.
type measurement struct {
	options  *exportOptions
	run      *trainrun.Run
	shown    *terminal.Progress
	pictures []*data.Set // for the style statistics
	missing  string      // why there are no style statistics, if that may surprise
	domains  []*data.Set // for the accuracy
}

// open finds the pictures of the source domain, and checks that the run can be scored on all
// other domains. That pictures of the training are not on this machine is no fault.
func (m *measurement) open() error {
	for _, set := range m.domains {
		if _, err := evaluate.NewScoring(m.run.Config.Labels, set); err != nil {
			return fmt.Errorf("--eval %s: %w", set.Name, err)
		}
	}
	texts := m.options.sources
	asked := len(texts) > 0
	switch training := m.run.Config.Training; {
	case slices.Contains(texts, noSource):
		return nil
	case !asked && training == nil:
		m.missing = "the run does not say where its pictures are"
		return nil
	case !asked:
		texts = training.Sources
	}
	var sets []*data.Set
	for _, text := range texts {
		set, _, err := sources.Pictures(text)
		if err != nil && asked {
			return fmt.Errorf("--source: %w", err)
		}
		if err != nil {
			m.missing = err.Error()
			return nil
		}
		sets = append(sets, set.Subset(data.Spread(max(1, stylePictures/len(texts)), set.Len())))
	}
	m.pictures = sets
	return nil
}

// measured returns the model file, its card completed.
func (m *measurement) measured(ctx context.Context, model *onnx.Model) (content []byte, err error) {
	content, err = model.Marshal()
	if err != nil || len(m.pictures) == 0 && len(m.domains) == 0 {
		return content, err
	}
	engine, err := ort.Load(m.options.out, content, ort.Options{Library: m.options.onnxRuntime})
	if errors.Is(err, ort.ErrLibrary) && len(m.options.sources) == 0 && len(m.domains) == 0 {
		m.missing, m.pictures = err.Error(), nil // nobody has asked for them
		return content, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	defer context.AfterFunc(ctx, engine.Interrupt)()
	defer m.shown.Clear()
	card := *engine.Card()
	if card.Style, err = m.style(ctx, engine); err != nil {
		return nil, err
	}
	if card.Accuracy, err = m.accuracy(ctx, engine); err != nil {
		return nil, err
	}
	if err := export.SetCard(model, card); err != nil {
		return nil, err
	}
	return model.Marshal()
}

// style returns the card's style with what the sources show.
func (m *measurement) style(ctx context.Context, engine trt.Engine) (trt.CardStyle, error) {
	if len(m.pictures) == 0 {
		return engine.Card().Style, nil
	}
	all, names := 0, make([]string, len(m.pictures))
	for i, set := range m.pictures {
		all += set.Len()
		names[i] = set.Name
	}
	style, err := export.SourceStyle(ctx, engine, m.pictures, func(done int) { m.shown.Show("measuring style", done, all) })
	if err != nil && len(m.options.sources) == 0 {
		return style, fmt.Errorf("%w; --source %s leaves it out", err, noSource)
	}
	if err == nil {
		fmt.Fprintf(m.options.stdout, "style measured on %s of %s\n", terminal.Plural(style.Images, "picture"), strings.Join(names, ", "))
	}
	return style, err
}

// accuracy returns what the card says of the domains.
func (m *measurement) accuracy(ctx context.Context, engine trt.Engine) (map[string]trt.Accuracy, error) {
	all := map[string]trt.Accuracy{}
	predictor, own := evaluate.NewEngine(engine), m.run.Config.Labels
	for _, set := range m.domains {
		done := 0
		result, err := evaluate.Score(ctx, predictor, own, set, func(int, *data.Picture, []uint8) {
			done++
			m.shown.Show("evaluating on "+set.Name, done, set.Len())
		})
		if err != nil {
			return nil, fmt.Errorf("--eval: %w", err)
		}
		a := export.Accuracy(result, own.Classes)
		all[set.Name] = a
		other := ""
		if len(a.PerClass) == 0 {
			other = " in the classes of " + set.Classes.Name
		}
		fmt.Fprintf(m.options.stdout, "mIoU on %s: %.2f%s\n", set.Name, a.MIoU, other)
	}
	return all, nil
}
