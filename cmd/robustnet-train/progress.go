package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// progress shows on a terminal how far the stages of a command have come. Elsewhere it shows
// nothing.
type progress struct {
	to       io.Writer
	terminal bool
	bar      *progressbar.ProgressBar // nil between stages
	stage    string
}

func newProgress(to io.Writer) *progress { return &progress{to: to, terminal: isTerminal(to)} }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// show moves the bar of a stage, or begins one. It is taken away when all is done.
func (p *progress) show(stage string, done, total int) { p.describe(stage, stage, done, total) }

// describe is show with another text than the stage's name before the bar, one that says how
// long it will take: the bar would count what was done before a training was resumed.
func (p *progress) describe(stage, text string, done, total int) {
	if !p.terminal || total < 1 {
		return
	}
	if p.bar == nil || p.stage != stage {
		p.clear()
		p.stage = stage
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetDescription(text), progressbar.OptionSetWriter(p.to), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(text == stage), progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish())
	}
	p.bar.Describe(text)
	_ = p.bar.Set(done) // fails only beyond the total
	if done >= total {
		p.clear()
	}
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.bar, p.stage = nil, ""
}
