package main

import (
	"context"
	"errors"
	"fmt"

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

// open loads libtorch, and returns what the flags say to it.
func (f *computeFlags) open() (*torch.Library, torch.Options, error) {
	o := torch.Options{Threads: f.threads}
	var err error
	if o.Device, err = torch.ParseDevice(f.device); err != nil {
		return nil, o, cli.Usagef("--device: %w", err)
	}
	if f.threads < 0 {
		return nil, o, cli.Usagef("--threads %d: 1 or more are possible, 0 for one for each core", f.threads)
	}
	lib, err := torch.Load("")
	if err != nil {
		return nil, o, err
	}
	if err := o.Device.Check(); err != nil {
		return nil, o, fmt.Errorf("--device: %w", err)
	}
	return lib, o, nil
}

// onTorch calls do with a scope on the device.
func (f *computeFlags) onTorch(do func(s *torch.Scope) error) error {
	lib, o, err := f.open()
	if err != nil {
		return err
	}
	return lib.Run(o, do)
}

// stopped puts it in words that the user has ended a command that writes at its end only.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("stopped; nothing was written")
	}
	return err
}
