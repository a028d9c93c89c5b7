package main

import (
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/robustnet-edge/robustnet/edge/config"
)

// logger is a log whose level can change.
type logger struct {
	zerolog.Logger
	level *atomic.Int32 // least important level that is written
}

// newLogger makes the logger that cfg, which must be valid, describes.
func newLogger(cfg config.Log, w io.Writer) *logger {
	terminal := isTerminal(w)
	if cfg.Format == config.LogText || cfg.Format == config.LogAuto && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: "15:04:05.000"}
	}
	l := &logger{level: new(atomic.Int32)}
	l.setLevel(cfg.Level)
	l.Logger = zerolog.New(w).Hook(zerolog.HookFunc(l.filter), zerolog.HookFunc(stamp))
	return l
}

// setLevel changes the level, also of the loggers that were made of this one.
func (l *logger) setLevel(name string) {
	level, err := zerolog.ParseLevel(name)
	if err != nil {
		level = zerolog.InfoLevel
	}
	l.level.Store(int32(level))
}

func (l *logger) filter(e *zerolog.Event, level zerolog.Level, _ string) {
	if int32(level) < l.level.Load() {
		e.Discard()
	}
}

// stamp adds the time with milliseconds. zerolog's own stamp has whole seconds unless a
// variable of its package is changed.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
