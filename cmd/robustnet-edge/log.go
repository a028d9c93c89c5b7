package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/robustnet-edge/robustnet/edge/config"
)

// newLogger makes the logger that cfg, which must be valid, describes.
func newLogger(cfg config.Log, w io.Writer) zerolog.Logger {
	terminal := isTerminal(w)
	if cfg.Format == config.LogText || cfg.Format == config.LogAuto && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: "15:04:05.000"}
	}
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(level).Hook(zerolog.HookFunc(stamp))
}

// stamp adds the time with milliseconds. zerolog's own stamp has whole seconds unless a
// variable of its package is changed.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
