// Command miou scores a folder of masks against labelled images: it prints the intersection
// over union of each class and their mean and, given a model file, compares the mean with
// the accuracy that the model's card states.
package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
)

const usage = `miou scores masks against labels, both PNG images whose pixels are class ids.

  go run ./bench/miou --labels DIR --masks DIR --classes 11 --ignore 11

Without --list every mask is compared with the label image of the same name. With --list,
a file of names without .png, one per line, each name needs a mask: of that name, or else,
for masks numbered 000000.png and up, the one whose number is the name's place in the list.
A mask of another size than its label image is scaled to it by nearest neighbour.

`

const exitCodes = `
Exit codes: 0 scored, 1 failure, 2 wrong usage, 3 further from the card than --tolerance.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	labels, list, masks, card, domain string
	classes, ignore                   int
	tolerance                         float64
}

// errAccuracy says that the result is not what the card states.
var errAccuracy = errors.New("the accuracy is not the card's")

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "miou:", err)
		return 2
	}
	if err := score(o, stdout); err != nil {
		fmt.Fprintln(stderr, "miou:", err)
		if errors.Is(err, errAccuracy) {
			return 3
		}
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := pflag.NewFlagSet("miou", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.labels, "labels", "", "`folder` of label images")
	flags.StringVar(&o.masks, "masks", "", "`folder` of masks")
	flags.StringVar(&o.list, "list", "", "`file` of the names to score")
	flags.IntVar(&o.classes, "classes", 0, "`number` of classes; default: as many as the card names")
	flags.IntVar(&o.ignore, "ignore", 255, "`label` that counts for nothing")
	flags.StringVar(&o.card, "card", "", "model `file` whose card names the classes and states the accuracy")
	flags.StringVar(&o.domain, "domain", "", "`name` of the accuracy in the card; default: the only one")
	flags.Float64Var(&o.tolerance, "tolerance", 0.5, "difference from the card's mean IoU that is accepted, in `points`")
	flags.Usage = func() { fmt.Fprint(stderr, usage, flags.FlagUsages(), exitCodes) }
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	return o, o.check(flags.Args())
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is not a flag", rest[0])
	case o.labels == "" || o.masks == "":
		return errors.New("name both folders with --labels and --masks")
	case o.classes == 0 && o.card == "":
		return errors.New("give the number of classes with --classes, or a model file with --card")
	case o.classes < 0 || o.classes > 255:
		return fmt.Errorf("--classes %d: 1 to 255 are possible", o.classes)
	case o.classes > 0 && o.ignore >= 0 && o.ignore < o.classes:
		return fmt.Errorf("--ignore %d is one of the classes 0 to %d", o.ignore, o.classes-1)
	case o.domain != "" && o.card == "":
		return errors.New("--domain names an accuracy of the card; give --card, too")
	case !(o.tolerance >= 0):
		return fmt.Errorf("--tolerance %v: points are 0 or more", o.tolerance)
	}
	return nil
}

func score(o options, stdout io.Writer) error {
	var card *trt.Card
	if o.card != "" {
		var err error
		if card, err = readCard(&o); err != nil {
			return err
		}
	}
	m := confusion.New(o.classes, o.ignore)
	images, err := evaluate.Folder(m, o.labels, o.masks, o.list)
	if err != nil {
		return err
	}
	if err := printTable(stdout, m, card, images); err != nil {
		return err
	}
	if card == nil {
		return nil
	}
	return compare(stdout, m, card.Accuracy[o.domain].MIoU, o)
}

// readCard also fills in what the card says and the flags do not.
func readCard(o *options) (*trt.Card, error) {
	model, err := os.ReadFile(o.card)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	card, err := trt.ReadCard(model)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", o.card, err)
	}
	if o.classes == 0 {
		o.classes = len(card.Classes)
	}
	if o.classes != len(card.Classes) {
		return nil, fmt.Errorf("the card names %d classes, but --classes is %d", len(card.Classes), o.classes)
	}
	if o.ignore >= 0 && o.ignore < o.classes {
		return nil, fmt.Errorf("--ignore %d is one of the card's classes", o.ignore)
	}
	domains := make([]string, 0, len(card.Accuracy))
	for domain := range card.Accuracy {
		domains = append(domains, domain)
	}
	slices.Sort(domains)
	if o.domain == "" && len(domains) == 1 {
		o.domain = domains[0]
	}
	if !slices.Contains(domains, o.domain) {
		return nil, fmt.Errorf("the card states no accuracy on %q; choose one of %q with --domain", o.domain, domains)
	}
	return card, nil
}

func printTable(w io.Writer, m *confusion.Matrix, card *trt.Card, images int) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "class\tIoU %\tpixels %\t")
	for c, iou := range m.IoU() {
		var pixels uint64
		for p := range len(m.IoU()) {
			pixels += m.Count(c, p)
		}
		name := strconv.Itoa(c)
		if card != nil {
			name = card.Classes[c].Name
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f\t\n", name, points(iou), 100*float64(pixels)/float64(m.Pixels()))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nimages %d, pixel accuracy %s %%, mean IoU %s %%\n", images, points(m.PixelAccuracy()), points(m.MeanIoU()))
	return err
}

// points writes a ratio in hundredths.
func points(ratio float64) string {
	if math.IsNaN(ratio) {
		return "-"
	}
	return strconv.FormatFloat(100*ratio, 'f', 2, 64)
}

func compare(w io.Writer, m *confusion.Matrix, stated float64, o options) error {
	off := 100*m.MeanIoU() - stated
	where := fmt.Sprintf("the card states %.2f %% on %s", stated, strings.TrimSpace(o.domain))
	if !(math.Abs(off) <= o.tolerance) { // also when it is not a number
		return fmt.Errorf("%w: %s, which is %+.2f points away; %v are accepted", errAccuracy, where, off, o.tolerance)
	}
	_, err := fmt.Fprintf(w, "%s, %+.2f points away\n", where, off)
	return err
}
