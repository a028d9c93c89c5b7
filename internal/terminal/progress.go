// Package terminal shows people how far a command has come, and what came out, in text.
package terminal

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// Progress shows on a terminal how far the stages of a command have come. Elsewhere it shows
// nothing.
type Progress struct {
	to io.Writer
	// Terminal tells whether anything is shown.
	Terminal bool

	bar   *progressbar.ProgressBar // nil between stages
	stage string
}

// NewProgress returns a progress that shows on the writer if that is a terminal.
func NewProgress(to io.Writer) *Progress { return &Progress{to: to, Terminal: isTerminal(to)} }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// Show moves the bar of a stage, or begins one. It is taken away when all is done.
func (p *Progress) Show(stage string, done, total int) { p.Describe(stage, stage, done, total) }

// Describe is Show with another text than the stage's name before the bar, one that says how
// long it will take: the bar would count what was done before a training was resumed.
func (p *Progress) Describe(stage, text string, done, total int) {
	if !p.Terminal || total < 1 {
		return
	}
	if p.bar == nil || p.stage != stage {
		p.Clear()
		p.stage = stage
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetDescription(text), progressbar.OptionSetWriter(p.to), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(text == stage), progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish())
	}
	p.bar.Describe(text)
	_ = p.bar.Set(done) // fails only beyond the total
	if done >= total {
		p.Clear()
	}
}

// Clear takes the bar away.
func (p *Progress) Clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.bar, p.stage = nil, ""
}
