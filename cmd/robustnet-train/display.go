package main

import (
	"encoding/json"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/internal/shell"
	"github.com/robustnet-edge/robustnet/train/fit"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

// display shows how a training goes: bars on a terminal, a line now and then elsewhere, or
// lines of JSON.
type display struct {
	out, errs io.Writer
	json      bool
	shown     bool // this process is the one that reports
	progress  *terminal.Progress
	spoken    time.Time
}

func newDisplay(stdout, stderr io.Writer, asJSON, shown bool) *display {
	return &display{out: stdout, errs: stderr, json: asJSON, shown: shown, progress: terminal.NewProgress(stderr)}
}

func (d *display) events() fit.Events {
	if !d.shown {
		return fit.Events{}
	}
	return fit.Events{Searching: d.searching, Step: d.step, Masks: d.masks, Validating: d.validating, Validated: d.validated}
}

// begin says what is trained.
func (d *display) begin(r *trainrun.Run) {
	if !d.shown || d.json {
		return
	}
	c := r.Config
	fmt.Fprintf(d.out, "%s (%s), %s\n", summary(c.Network), c.Labels.Name, c.Method)
	if c.Whitening != nil {
		fmt.Fprintln(d.out, whiteningSummary(*c.Whitening))
	}
	if t := c.Training; t != nil {
		fmt.Fprintf(d.out, "%s iterations of %d pictures from %s\n", terminal.Count(t.Iterations), t.Batch, strings.Join(t.Sources, ", "))
	}
	if n := r.Progress.Iterations; n > 0 {
		fmt.Fprintf(d.out, "goes on after iteration %s\n", terminal.Count(n))
	}
}

// line is one of JSON.
type line struct {
	Event      string                `json:"event"`
	Stage      string                `json:"stage,omitempty"`
	Pictures   int                   `json:"pictures,omitempty"`
	Total      int                   `json:"total_pictures,omitempty"`
	Iteration  int                   `json:"iteration,omitempty"`
	Iterations int                   `json:"iterations,omitempty"`
	Rate       float64               `json:"learning_rate,omitempty"`
	Loss       float64               `json:"loss,omitempty"`
	CE         float64               `json:"ce,omitempty"`
	Aux        float64               `json:"aux,omitempty"`
	Whitening  *float64              `json:"whitening,omitempty"`
	PerSecond  float64               `json:"pictures_per_second,omitempty"`
	Elapsed    float64               `json:"elapsed_seconds,omitempty"`
	Left       float64               `json:"left_seconds,omitempty"`
	Seconds    float64               `json:"iteration_seconds,omitempty"`
	Memory     int64                 `json:"peak_memory_bytes,omitempty"`
	Evaluation []trainrun.Evaluation `json:"evaluations,omitempty"`
	Reason     string                `json:"reason,omitempty"`
	Done       *bool                 `json:"done,omitempty"`
	Hash       string                `json:"weights_sha256,omitempty"`
}

func (d *display) write(l line) {
	_ = json.NewEncoder(d.out).Encode(l) // who has closed the pipe does not want to know
}

func (d *display) step(s fit.Step) {
	if d.json {
		l := line{Event: "step", Iteration: s.Iteration, Iterations: s.Iterations, Rate: s.LearningRate, Loss: s.Loss, CE: s.CE, Aux: s.Aux,
			PerSecond: s.PicturesPerSecond, Elapsed: s.Elapsed.Seconds(), Left: s.Left.Seconds()}
		if !math.IsNaN(s.Whitening) {
			l.Whitening = &s.Whitening
		}
		d.write(l)
		return
	}
	losses := fmt.Sprintf("loss %.3f  ce %.3f  aux %.3f", s.Loss, s.CE, s.Aux)
	if !math.IsNaN(s.Whitening) {
		losses += fmt.Sprintf("  whitening %.3f", s.Whitening)
	}
	text := fmt.Sprintf("%s  lr %.4f  %.1f images/s  %v left", losses, s.LearningRate, s.PicturesPerSecond, s.Left.Round(time.Second))
	if d.progress.Terminal {
		d.progress.Describe("training", text, s.Iteration, s.Iterations)
		return
	}
	d.say(fmt.Sprintf("iteration %d/%d  %s", s.Iteration, s.Iterations, text))
}

func (d *display) searching(done, total int) { d.pictures("searching classes", done, total) }

func (d *display) masks(done, total int) { d.pictures("selecting masks", done, total) }

func (d *display) validating(domain string, done, total int) {
	d.pictures("validating on "+domain, done, total)
}

// pictures says how far a stage has come that is not training.
func (d *display) pictures(stage string, done, total int) {
	switch {
	case d.json:
		d.write(line{Event: "pictures", Stage: stage, Pictures: done, Total: total})
	case d.progress.Terminal:
		d.progress.Show(stage, done, total)
	case done == total:
		fmt.Fprintf(d.errs, "%s: %d pictures\n", stage, total)
	}
}

// say writes a line, but not more than one in ten seconds.
func (d *display) say(text string) {
	if time.Since(d.spoken) < 10*time.Second {
		return
	}
	d.spoken = time.Now()
	fmt.Fprintln(d.errs, text)
}

func (d *display) validated(now []trainrun.Evaluation) {
	if d.json {
		d.write(line{Event: "validated", Evaluation: now})
		return
	}
	d.progress.Clear()
	for _, e := range now {
		fmt.Fprintf(d.out, "iteration %d: mIoU on %s %.2f\n", e.Iteration, e.Domain, e.MIoU)
	}
}

// tried says what the iterations that are left would take.
func (d *display) tried(trial fit.Trial, left int, gpu bool) error {
	all := time.Duration(left) * trial.Iteration
	if d.json {
		d.write(line{Event: "tried", Iterations: left, Seconds: trial.Iteration.Seconds(), Left: all.Seconds(), Memory: trial.PeakBytes})
		return nil
	}
	d.progress.Clear()
	fmt.Fprintf(d.out, "an iteration takes %v: %s take %v, without the selection of masks and validations\n",
		trial.Iteration.Round(time.Millisecond), terminal.Count(left), all.Round(time.Second))
	if trial.PeakBytes > 0 {
		beside := ""
		if gpu {
			beside = ", beside the GPU's"
		}
		fmt.Fprintf(d.out, "peak memory %s%s\n", terminal.Megabytes(trial.PeakBytes), beside)
	}
	_, err := fmt.Fprintln(d.out, "dry run: nothing was written")
	return err
}

// end says how the training ended, and what to do next.
func (d *display) end(r *trainrun.Run, o fit.Outcome) error {
	if !d.shown {
		return nil
	}
	if d.json {
		d.write(line{Event: "end", Iteration: o.Iterations, Reason: o.Reason, Done: &o.Done, Hash: o.Hash})
		return nil
	}
	d.progress.Clear()
	if !o.Done {
		_, err := fmt.Fprintf(d.out, "stopped after iteration %d: %s\nnext: %s fit --resume %s\n", o.Iterations, o.Reason, program, shell.Quote(r.Dir))
		return err
	}
	_, err := fmt.Fprintf(d.out, "done after iteration %d: %s\nweights: sha256 %s\nreport: %s\nnext: %s eval --model %s --on LAYOUT=DIR, or %s export --run %s --out model.onnx\n",
		o.Iterations, o.Reason, o.Hash, filepath.Join(r.Dir, trainrun.ReportFile), program, shell.Quote(r.Dir), program, shell.Quote(r.Dir))
	return err
}
