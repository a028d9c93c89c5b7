package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/data"
)

const checkHelp = `Check reads data sets as a training would, all of every picture, and prints their sizes and
how often each class occurs. It finds pictures without labels and labels without pictures,
labels of another size than their picture, label ids that the layout does not know, and files
that are damaged, cut off or empty. Damage inside a JPEG is found here alone, not by a training,
and practically always where it is some KiB long: JPEG has no checksums. Each fault is a line
that begins with the file's path.

A SOURCE is [NAME=]LAYOUT=DIR[:SPLIT]:

  cityscapes=DIR:val       leftImg8bit/SPLIT, gtFine/SPLIT/*_gtFine_labelIds.png
  gtav=DIR:train           images/SPLIT, labels/SPLIT in the colours of Cityscapes
  bdd100k=DIR:val          images/SPLIT, labels/SPLIT/*_train_id.png
  mapillary=DIR:val        validation/images, validation/labels, of version 1.2
  synthia=DIR:train        RGB/SPLIT, GT/LABELS/SPLIT
  idd=DIR:val              leftImg8bit/SPLIT, gtFine/SPLIT/*_label.png of IDD-lite
  camvid=DIR:train         SPLIT, SPLITannot
  folder=DIR:SPLIT         dataset.yaml, images, labels, splits/SPLIT.txt
  folder=FILE.yaml@DIR     the same, dataset.yaml being elsewhere
  scenes=day+rain:0-1999   procedural streets with these seeds, drawn in each style

All but cityscapes, synthia and scenes may also be images/ and labels/ with lists
splits/SPLIT.txt, or all pictures without SPLIT. docs/data.md has the trees.

The exit code is 1 if there is a fault.`

const checkExamples = `  robustnet-train check camvid=camvid:day_train
  robustnet-train check gtav=/data/gtav:train cityscapes=/data/cityscapes:val --json`

func newCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check SOURCE...",
		Short:   "Read data sets, count their classes and list their faults",
		Long:    checkHelp,
		Example: checkExamples,
		Args:    cli.Positional(cobra.MinimumNArgs(1)),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, sources []string) error {
		return check(cmd.Context(), sources, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func check(ctx context.Context, texts []string, asJSON bool, out, log io.Writer) error {
	reports := []*data.Report{}
	var errs []error
	faults := 0
	shown := terminal.NewProgress(log)
	defer shown.Clear()
	for _, source := range texts {
		report, err := data.Check(ctx, source, func(done, all int) { shown.Show(source, done, all) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err = sources.Fault(err); cli.IsUsage(err) {
			return err
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		faults += len(report.Faults)
		if !asJSON {
			if _, err := io.WriteString(out, reportText(report)); err != nil {
				return err
			}
		}
		reports = append(reports, report)
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(reports); err != nil {
			return err
		}
	}
	if faults > 0 {
		errs = append(errs, errors.New(terminal.Plural(faults, "fault")))
	}
	return errors.Join(errs...)
}

// reportText is the report for people: a heading, a table of classes, the faults.
func reportText(r *data.Report) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s%s\n", r.Name, terminal.Plural(r.Pictures, "picture"), sizesText(r.Sizes))
	switch {
	case r.Pictures == 0: // there is nothing to count
	case r.Classes == nil:
		text.WriteString("there are no labels\n")
	default:
		text.WriteString(classTable(r))
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(&text, "unknown label id %d: %s in %s\n", u.ID, terminal.Plural(u.Pixels, "pixel"), terminal.Plural(u.Files, "file"))
	}
	for _, line := range slices.Concat(r.Notes, r.Faults) {
		text.WriteString(line + "\n")
	}
	text.WriteByte('\n')
	return text.String()
}

// sizesText lists the most frequent sizes.
func sizesText(sizes []data.SizeCount) string {
	const shown = 5
	var text strings.Builder
	for _, s := range sizes[:min(len(sizes), shown)] {
		fmt.Fprintf(&text, ", %s of %d x %d", terminal.Count(s.Pictures), s.Width, s.Height)
	}
	if n := len(sizes) - shown; n > 0 {
		fmt.Fprintf(&text, ", and %s", terminal.Plural(n, "other size"))
	}
	return text.String()
}

func classTable(r *data.Report) string {
	all := r.IgnoredPixels
	for _, c := range r.Classes {
		all += c.Pixels
	}
	t := terminal.Table{Left: []bool{false, true, false, false, false}}
	t.Row("id", "class", "pixels", "share", "pictures")
	t.Rule()
	for id, c := range r.Classes {
		t.Row(fmt.Sprint(id), c.Name, terminal.Count(c.Pixels), percent(c.Pixels, all), terminal.Count(c.Pictures))
	}
	t.Row("", "ignored", terminal.Count(r.IgnoredPixels), percent(r.IgnoredPixels, all), "")
	return t.String()
}

// percent is a share with two decimals: rare classes have hundredths of a percent.
func percent(part, whole int64) string {
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(max(whole, 1)))
}
