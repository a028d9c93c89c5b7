// Command domains turns the figures that bench/domains.sh has measured into a page.
package main

import (
	"cmp"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: domains FOLDER, with files METHOD-SEED.csv of 'robustnet-train eval'")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/domains:", err)
		os.Exit(1)
	}
}

//go:embed page.md
var pageText string

// domains are the columns, in the order of the page.
var domains = []string{"day_val", "new_route", "dusk", "idd_lite", "bdd100k", "facades"}

// order is that of the rows; others follow by name.
var order = []string{"base", "ibn", "iw", "irw", "isw"}

// adapting are the additions with which a method sees pictures of the target.
var adapting = []string{"+adabn", "+fda"}

// noise is the difference in points below which the page calls nothing better.
const noise = 1.5

func run(folder string, out io.Writer) error {
	measured, err := read(folder)
	if err != nil {
		return err
	}
	if len(measured) == 0 {
		return fmt.Errorf("there are no files METHOD-SEED.csv in %s; run bench/domains.sh", folder)
	}
	reference := map[string]*method{}
	if err := add(reference, filepath.Join(filepath.Dir(folder), "reference.csv"), ""); err != nil {
		return err
	}
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	generalising, adapted := map[string]*method{}, map[string]*method{}
	for name, m := range measured {
		if slices.ContainsFunc(adapting, func(addition string) bool { return strings.HasSuffix(name, addition) }) {
			adapted[name] = m
		} else {
			generalising[name] = m
		}
	}
	return page.Execute(out, map[string]any{
		"Table": table(generalising, reference), "Adapted": table(adapted, nil), "Verdict": verdict(measured, reference),
		"Classes": classes(generalising), "Pictures": pictures(measured)})
}

// method is what was measured of one: values by domain and seed.
type method struct {
	name  string
	seeds []string
	miou  map[string][]float64            // by domain, in the order of seeds
	iou   map[string]map[string][]float64 // by domain and class
	// pictures are their numbers by domain.
	pictures map[string]string
}

var fileName = regexp.MustCompile(`^(.+)-(\d+)\.csv$`)

func read(folder string) (map[string]*method, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	all := map[string]*method{}
	for _, e := range entries {
		if parts := fileName.FindStringSubmatch(e.Name()); parts != nil {
			if err := add(all, filepath.Join(folder, e.Name()), parts[1]); err != nil {
				return nil, err
			}
			m := all[parts[1]]
			m.seeds = append(m.seeds, parts[2])
			for _, d := range domains {
				if len(m.miou[d]) != len(m.seeds) {
					return nil, fmt.Errorf("%s lacks the domain %s; delete the file and measure anew", filepath.Join(folder, e.Name()), d)
				}
			}
		}
	}
	return all, nil
}

// add takes the figures of a file, as those of the named method or of the models in it.
func add(all map[string]*method, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, line := range lines[min(1, len(lines)):] {
		if len(line) != 8 {
			return fmt.Errorf("%s: %d columns, not 8; measure anew", path, len(line))
		}
		value, err := strconv.ParseFloat(line[7], 64)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: measure anew", path), err)
		}
		key, domain := cmp.Or(name, line[0]), line[1]
		m := all[key]
		if m == nil {
			m = &method{name: key, miou: map[string][]float64{}, iou: map[string]map[string][]float64{}, pictures: map[string]string{}}
			all[key] = m
		}
		m.pictures[domain] = line[4]
		switch line[5] {
		case "miou":
			m.miou[domain] = append(m.miou[domain], value)
		case "iou":
			if m.iou[domain] == nil {
				m.iou[domain] = map[string][]float64{}
			}
			m.iou[domain][line[6]] = append(m.iou[domain][line[6]], value)
		}
	}
	return nil
}

// sorted returns the methods in the order of the page.
func sorted(all map[string]*method) []*method {
	var list []*method
	for _, m := range all {
		list = append(list, m)
	}
	rank := func(m *method) int {
		if i := slices.Index(order, m.name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(list, func(a, b *method) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.name, b.name)) })
	return list
}

// spread writes the mean of the seeds and half the distance of the extreme ones.
func spread(values []float64) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%.2f", values[0])
	}
	return fmt.Sprintf("%.2f ± %.2f", mean(values), (slices.Max(values)-slices.Min(values))/2)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// table has a row for each method; it is empty without any.
func table(measured, reference map[string]*method) string {
	if len(measured) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("| method | seeds | " + strings.Join(domains, " | ") + " |\n|---|---|" + strings.Repeat("---|", len(domains)) + "\n")
	row := func(name, seeds string, m *method) {
		text.WriteString("| " + name + " | " + seeds)
		for _, d := range domains {
			text.WriteString(" | " + spread(m.miou[d]))
		}
		text.WriteString(" |\n")
	}
	for _, m := range sorted(measured) {
		row(m.name, strings.Join(m.seeds, ", "), m)
		if r := reference[m.name]; r != nil {
			row(m.name+", published code", "1", r)
		}
	}
	return text.String()
}

// pictures returns the numbers of pictures by domain.
func pictures(measured map[string]*method) map[string]string {
	for _, m := range measured {
		return m.pictures
	}
	return nil
}

// verdict says where ISW is better than base, what additions and adaptation change, and where
// both are better than the published code.
func verdict(measured, reference map[string]*method) string {
	var text strings.Builder
	write := func(title string, a, b *method, paired bool) {
		if a == nil || b == nil {
			return
		}
		var better, equal, worse []string
		for _, d := range domains {
			gain := mean(a.miou[d]) - mean(b.miou[d])
			if paired {
				gain = pairedGain(a, b, d)
			}
			figure := strings.Replace(fmt.Sprintf("%s (%+.2f)", d, gain), "-", "−", 1)
			switch {
			case math.IsNaN(gain):
			case gain >= noise:
				better = append(better, figure)
			case gain > -noise:
				equal = append(equal, figure)
			default:
				worse = append(worse, figure)
			}
		}
		if len(better)+len(equal)+len(worse) > 0 {
			fmt.Fprintf(&text, "- %s: better on %s; within %.1f on %s; worse on %s.\n", title, list(better), noise, list(equal), list(worse))
		}
	}
	write("ISW against base", measured["isw"], measured["base"], true)
	for _, m := range sorted(measured) {
		if plain, _, added := strings.Cut(m.name, "+"); added {
			write(m.name+" against "+plain, m, measured[plain], true)
		}
	}
	write("base against the published code's", measured["base"], reference["base"], false)
	write("ISW against the published code's", measured["isw"], reference["isw"], false)
	return text.String()
}

// pairedGain is the mean gain of a over b on a domain, over the seeds that both have; NaN if
// there are none.
func pairedGain(a, b *method, domain string) float64 {
	var gains []float64
	for i, seed := range a.seeds {
		if j := slices.Index(b.seeds, seed); j >= 0 {
			gains = append(gains, a.miou[domain][i]-b.miou[domain][j])
		}
	}
	return mean(gains)
}

func list(names []string) string { return cmp.Or(strings.Join(names, ", "), "none") }

// classes lists the IoU of every class by day and at dusk.
func classes(measured map[string]*method) string {
	var text strings.Builder
	for _, domain := range []string{"day_val", "dusk"} {
		var names []string
		methods := sorted(measured)
		for _, m := range methods {
			for name := range m.iou[domain] {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		slices.Sort(names)
		fmt.Fprintf(&text, "\n%s:\n\n| class |", domain)
		for _, m := range methods {
			text.WriteString(" " + m.name + " |")
		}
		text.WriteString("\n|---|" + strings.Repeat("---|", len(methods)) + "\n")
		for _, name := range names {
			text.WriteString("| " + name + " |")
			for _, m := range methods {
				if values := m.iou[domain][name]; len(values) > 0 {
					fmt.Fprintf(&text, " %.1f", mean(values))
				}
				text.WriteString(" |")
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}
