package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/conformance"
	"github.com/robustnet-edge/robustnet/train/torch"
)

const conformanceHelp = `Conformance compares this program's networks, whitening, gradients and optimiser with numbers
that the published implementation computed. A folder holds manifest.json, which says what was
computed, and tensors.f32; its weights and pictures follow from formulas. Every quantity gets
a line: the reference, ours, the relative error, ok or FAIL.

The numbers were computed on a CPU with two threads and the reference BLAS, and the later
training steps enlarge differences in rounding more than a thousand times. So the comparison
uses the same: two threads, and Debian's package libblas3 where it is installed. With
--device cuda it runs on a GPU, where rounding differs and the later steps may fail.`

type conformanceOptions struct {
	failures     bool
	blas, device string
}

func newConformance() *cobra.Command {
	var o conformanceOptions
	cmd := &cobra.Command{
		Use:     "conformance DIR...",
		Short:   "Compare with numbers of the published implementation",
		Long:    conformanceHelp,
		Example: "  robustnet-train conformance reference/mobilenetv2_isw reference/resnet50_isw",
		Args:    cli.Positional(cobra.MinimumNArgs(1)),
	}
	cmd.Flags().BoolVar(&o.failures, "failures", false, "print only the lines that fail")
	cmd.Flags().StringVar(&o.blas, "blas", "reference", "matrix products by the reference BLAS, or the system's choice: reference, system")
	cmd.Flags().StringVar(&o.device, "device", "cpu", "where to compute: cpu, cuda (the first GPU) or cuda:N")
	cmd.RunE = func(cmd *cobra.Command, dirs []string) error {
		return o.run(cmd.Context(), dirs, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (o *conformanceOptions) run(ctx context.Context, args []string, out, log io.Writer) error {
	if o.blas != "reference" && o.blas != "system" {
		return cli.Usagef("--blas %q: choose reference or system", o.blas)
	}
	device, err := torch.ParseDevice(o.device)
	if err != nil {
		return cli.Usagef("--device: %w", err)
	}
	dirs, files := splitFiles(args)
	if len(dirs) == 0 {
		return cli.Usagef("%s is a file; give the folder that holds manifest.json", files[0])
	}
	// All folders are read first, so that a wrong path is reported at once.
	references := make([]*conformance.Reference, len(dirs))
	for i, dir := range dirs {
		var err error
		if references[i], err = conformance.Open(dir); err != nil {
			return err
		}
	}
	if o.blas == "reference" {
		if err := withReferenceBLAS(log); err != nil {
			return err
		}
	}
	for _, file := range files {
		fmt.Fprintf(log, "%s is a file, no reference folder: passed over\n", file)
	}
	lib, err := torch.Load("")
	if err != nil {
		return err
	}
	var errs []error
	failed, quantities := 0, 0
	if err := device.Check(); err != nil {
		return fmt.Errorf("--device: %w", err)
	}
	for i, dir := range dirs {
		if ctx.Err() != nil {
			fmt.Fprintf(log, "stopped before %s\n", dir)
			return nil
		}
		report, err := conformance.Check(lib, references[i], device)
		if err != nil {
			errs = append(errs, fmt.Errorf("compare with %s: %w", dir, err))
			continue
		}
		failed += report.Failed()
		quantities += len(report.Lines)
		if o.failures {
			report = report.Failures()
		}
		if _, err := fmt.Fprintln(out, dir); err != nil {
			return err
		}
		if err := report.Write(out); err != nil {
			return err
		}
	}
	if failed > 0 {
		errs = append(errs, fmt.Errorf("%d of %d quantities in %d folders differ from the reference", failed, quantities, len(dirs)))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	_, err = fmt.Fprintf(out, "all %d quantities in %d folders agree with the reference\n", quantities, len(dirs))
	return err
}

// splitFiles separates plain files, which a shell's pattern picks up beside the folders.
func splitFiles(args []string) (dirs, files []string) {
	for _, arg := range args {
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
			files = append(files, arg)
		} else {
			dirs = append(dirs, arg)
		}
	}
	return dirs, files
}
