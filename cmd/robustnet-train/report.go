package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/report"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

const reportHelp = `Report writes report.html of a run: one page for a browser, without scripts and without
anything from elsewhere. It shows curves of loss and accuracy, the IoU of each class,
pictures with truth and prediction, the covariances that whitening took away, and the cost
and accuracy of this run beside others: those of --with, or all beside it in its folder.
Training writes it at every evaluation.`

const reportExamples = `  robustnet-train report --run runs/isw
  robustnet-train report --run runs/isw --with runs/base --with old/ibn --out isw.html`

type reportOptions struct {
	run, out string
	with     []string
}

func newReport() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:     "report --run RUN",
		Short:   "Write a run's report as a page for a browser",
		Long:    reportHelp,
		Example: reportExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.run, "run", "", "run folder")
	flags.StringArrayVar(&o.with, "with", nil, "run folder to compare with; may be repeated (default all beside the run)")
	flags.StringVar(&o.out, "out", "", "file to write (default "+trainrun.ReportFile+" in the run folder)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.report(cmd.OutOrStdout()) }
	return cmd
}

func (o *reportOptions) report(out io.Writer) error {
	if o.run == "" {
		return cli.Usagef("say with --run of which run to report")
	}
	for _, dir := range o.with {
		if _, err := trainrun.ReadConfig(dir); err != nil {
			return fmt.Errorf("--with: %w", err)
		}
	}
	if o.out != "" {
		if err := checkTarget("--out", o.out); err != nil {
			return err
		}
	}
	path := cmp.Or(o.out, filepath.Join(o.run, trainrun.ReportFile))
	if err := report.WriteFile(o.run, o.with, path); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s written\n", path)
	return err
}
