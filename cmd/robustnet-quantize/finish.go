package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

// The files of a report.
const (
	jsonFile = "report.json"
	htmlFile = "report.html"
)

// shownTensors is the number of tensors whose histograms are drawn.
const shownTensors = 12

// measureLatency compares the speed of those models that are made for this machine's runtime.
func (j *job) measureLatency(ctx context.Context) (err error) {
	if j.latencyRuns == 0 {
		return nil
	}
	var engines []trt.Engine
	var shown []*variant
	defer func() {
		for _, e := range engines {
			err = errors.Join(err, e.Close())
		}
	}()
	for _, v := range j.variants {
		if v.Literal || v.Name == naive {
			continue
		}
		engine, err := j.engine(v)
		if err != nil {
			return err
		}
		engines, shown = append(engines, engine), append(shown, v)
	}
	p, err := j.comparison.Domains[0].Read(0)
	if err != nil {
		return fmt.Errorf("measure latency: %w", err)
	}
	const warmup = 3
	times, conditions, err := latency.Measure(ctx, engines, &camera.Frame{Pix: p.BGR(nil), Width: p.Width, Height: p.Height},
		latency.Options{Warmup: warmup, Runs: j.latencyRuns, Sensors: j.sensors}, func(done, total int) { j.progress.Show("measuring latency", done, total) })
	if err != nil {
		return err
	}
	j.progress.Clear()
	j.report.Conditions = &conditions
	for i, v := range shown {
		v.Latency = &times[i]
	}
	return nil
}

// drawSheets draws of each domain the picture on which an INT8 model agrees least with the
// float one.
func (j *job) drawSheets(ctx context.Context) error {
	float := j.variants[0]
	for d, domain := range j.comparison.Domains {
		worst := slices.MinFunc(j.int8Variants(), func(a, b *variant) int { return cmp.Compare(a.Accuracy[d].Agreement, b.Accuracy[d].Agreement) })
		picture := worst.worst[d]
		sheet, err := j.comparison.Draw(d, picture, func(p *data.Picture) (a, b []uint8, err error) {
			if a, err = j.predict(ctx, float, p); err != nil {
				return nil, nil, err
			}
			b, err = j.predict(ctx, worst, p)
			return a, b, err
		})
		if err != nil {
			return err
		}
		sheet.Classes = labels.Set{Classes: j.card.Classes, Ignore: j.card.Ignore}
		entry := report.Sheet{Domain: domain.Name, Picture: domain.Sample(picture).Name, Variant: worst.Name}
		if !sheet.Classes.SameClasses(domain.Classes) {
			entry.TruthClasses = domain.Classes.Classes
		}
		if err := sheet.Write(j.out, fmt.Sprintf("sheet_%d", d), &entry); err != nil {
			return err
		}
		j.report.Sheets = append(j.report.Sheets, entry)
	}
	return nil
}

func (j *job) int8Variants() []*variant {
	return slices.DeleteFunc(slices.Clone(j.variants), func(v *variant) bool { return v.Name != cpuInt8 && v.Name != trtInt8 })
}

// predict segments one picture.
func (j *job) predict(ctx context.Context, v *variant, p *data.Picture) (ids []uint8, err error) {
	engine, err := j.engine(v)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return evaluate.NewEngine(engine).Predict(ctx, p)
}

// describeTensors lists those that lose most by being rounded.
func (j *job) describeTensors() {
	tensors := j.table.Tensors
	if j.equalised != nil {
		tensors = j.table.Equalised.Tensors
	}
	for _, name := range j.network.Tensors() {
		values := tensors[name].Values
		affine, symmetric := j.placer.Ranges(name)
		decibels := func(kind histogram.Kind, r histogram.Range) float64 {
			return 10 * math.Log10(values.Power()/values.Error(histogram.GridOf(kind, r)))
		}
		t := report.Tensor{Name: name, Low: float64(values.Min()), High: float64(values.Max()), Affine: affine, Symmetric: symmetric,
			AffineSQNR: decibels(histogram.Affine, affine), SymmetricSQNR: decibels(histogram.Symmetric, symmetric)}
		// JSON has no number for a tensor that rounding leaves as it is, or that is all zero.
		if math.IsNaN(t.SymmetricSQNR) || math.IsInf(t.SymmetricSQNR, 0) || math.IsNaN(t.AffineSQNR) || math.IsInf(t.AffineSQNR, 0) {
			continue
		}
		const bars = 128
		t.Bars = values.Bars(t.Low, t.High, bars)
		j.report.Tensors = append(j.report.Tensors, t)
	}
	slices.SortStableFunc(j.report.Tensors, func(a, b report.Tensor) int {
		return cmp.Compare(min(a.AffineSQNR, a.SymmetricSQNR), min(b.AffineSQNR, b.SymmetricSQNR))
	})
	j.report.Tensors = j.report.Tensors[:min(shownTensors, len(j.report.Tensors))]
}

// write stores the reports and the cards of the models, and prints the outcome.
func (j *job) write() error {
	for _, r := range j.variants[0].results {
		j.report.Domains = append(j.report.Domains, report.Domain{Name: r.Domain, Pictures: r.Pictures, Classes: r.Classes})
	}
	j.describeTensors()
	for _, v := range j.variants {
		if err := j.stamp(v); err != nil {
			return err
		}
		j.report.Variants = append(j.report.Variants, v.Variant)
	}
	path := filepath.Join(j.out, htmlFile)
	err := errors.Join(report.WriteJSON(filepath.Join(j.out, jsonFile), &j.report), report.WriteHTML(path, &j.report))
	if err != nil {
		return err
	}
	return j.print(path)
}

func (j *job) print(htmlPath string) error {
	if j.json {
		text, err := os.ReadFile(filepath.Join(j.out, jsonFile))
		if err == nil {
			_, err = j.stdout.Write(text)
		}
		return err
	}
	_, err := io.WriteString(j.stdout, summary(&j.report)+latencyText(&j.report)+"report: "+htmlPath+"\n")
	return err
}

// summary is the table of variants by domains.
func summary(r *report.Report) string {
	t := terminal.NewTable("mIoU")
	for _, d := range r.Domains {
		t.Column(d.Name)
	}
	for _, title := range []string{"MB", "integer", "ms", "ratio"} {
		t.Column(title)
	}
	t.Rule()
	for _, v := range r.Variants {
		row := []string{v.Name}
		for i, a := range v.Accuracy {
			cell := fmt.Sprintf("%.2f", a.MIoU)
			if v.Name != fp32 {
				cell += fmt.Sprintf(" (%+.2f)", a.MIoU-r.Variants[0].Accuracy[i].MIoU)
			}
			row = append(row, cell)
		}
		row = append(row, fmt.Sprintf("%.1f", float64(v.Bytes)/1e6), fmt.Sprintf("%d/%d", v.Integer, v.Convolutions))
		if l := v.Latency; l != nil {
			row = append(row, fmt.Sprintf("%.1f", l.Infer.P50), fmt.Sprintf("%.3f", l.Ratio))
		} else {
			row = append(row, "", "")
		}
		t.Row(row...)
	}
	return t.String()
}

// latencyText says on what the latency was measured, and whether it is valid; it is empty if it
// was not measured.
func latencyText(r *report.Report) string {
	at := slices.IndexFunc(r.Variants, func(v report.Variant) bool { return v.Latency != nil })
	if at < 0 || r.Conditions == nil {
		return ""
	}
	l := r.Variants[at].Latency
	lines := append([]string{fmt.Sprintf("ms and ratio on %s, %s", l.CPU, terminal.Plural(l.Threads, "thread"))}, r.Conditions.Lines()...)
	if warning := r.Conditions.Warning(); warning != "" {
		lines = append(lines, "ms and ratio are "+warning)
	}
	return strings.Join(lines, "\n") + "\n"
}
