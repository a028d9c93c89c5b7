package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// computeFlags say where a command computes.
type computeFlags struct {
	device  string
	threads int
}

func (f *computeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.device, "device", "cpu", "where to compute: cpu, cuda (the first GPU) or cuda:N")
	flags.IntVar(&f.threads, "threads", 0, "CPU threads of libtorch (default one for each core)")
}

// onTorch calls do with a scope on the device.
func (f *computeFlags) onTorch(do func(s *torch.Scope) error) error {
	device, err := torch.ParseDevice(f.device)
	if err != nil {
		return cli.Usagef("--device: %w", err)
	}
	if f.threads < 0 {
		return cli.Usagef("--threads %d: 1 or more are possible, 0 for one for each core", f.threads)
	}
	lib, err := torch.Load("")
	if err != nil {
		return err
	}
	if err := device.Check(); err != nil {
		return fmt.Errorf("--device: %w", err)
	}
	return lib.Run(torch.Options{Device: device, Threads: f.threads}, do)
}

// stageOn shows on a terminal how far a stage of a command has come. At the total it is taken
// away.
func stageOn(log io.Writer, stage string, total int) func(done int) {
	show := progressOn(log, stage)
	return func(done int) {
		if show != nil {
			show(done, total)
		}
	}
}

// stopped puts it in words that the user has ended a command that writes at its end only.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("stopped; nothing was written")
	}
	return err
}
