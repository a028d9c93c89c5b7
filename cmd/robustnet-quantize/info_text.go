package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/trt"
)

// text is the description for people.
func (d *modelInfo) text() string {
	t := terminal.Table{Left: []bool{true, true}}
	t.Row("file", plain(d.File))
	t.Row("size", terminal.Count(d.Size)+" bytes ("+terminal.Megabytes(d.Size)+")")
	t.Row("SHA-256", d.SHA256)
	t.Row("flavour", d.Flavour.String())
	t.Row("opset", fmt.Sprintf("%d, %s", d.Opset, terminal.Plural(d.Nodes, "node")))
	portRows(&t, "input", d.Inputs)
	portRows(&t, "output", d.Outputs)
	title := "no card that can be used: " + plain(d.Fault) + "\n"
	if d.Card != nil {
		title = plain(d.Card.Name) + "\n"
		cardRows(&t, d.Card)
	}
	text := title + "\n" + t.String()
	if d.Card != nil && len(d.Card.Accuracy) > 0 {
		text += "\n" + accuracyTable(d.Card)
	}
	return text + "\n" + d.parameterTable() + "\n" + d.precisions()
}

func portRows(t *terminal.Table, title string, ports []inspect.Port) {
	for _, p := range ports {
		t.Row(title, plain(p.Name)+", "+p.Type+" "+inspect.Size(p.Shape))
		title = ""
	}
}

func cardRows(t *terminal.Table, c *trt.Card) {
	names := make([]string, len(c.Classes))
	for i, class := range c.Classes {
		names[i] = plain(class.Name)
	}
	t.Row("method", plain(cmp.Or(c.Method, "not said")))
	t.Row("trunk", plain(cmp.Or(c.Trunk, "not said")))
	for i, line := range wrap(names, 70) {
		title := ""
		if i == 0 {
			title = terminal.Count(len(names)) + " classes"
		}
		t.Row(title, line)
	}
	t.Row("picture", fmt.Sprintf("%d×%d pixels, mask %d×%d", c.Input.Height, c.Input.Width, c.Mask.Height, c.Mask.Width))
	style := fmt.Sprintf("%d numbers of %s", len(c.Style.Mean), plain(strings.Join(c.Style.Layers, ", ")))
	if c.Style.Images > 0 {
		style += ", statistics of " + terminal.Plural(c.Style.Images, "picture")
	} else {
		style += ", no statistics of the source domain"
	}
	t.Row("style", style)
	t.Row("training", plain(cmp.Or(c.Training, "not said")))
}

// accuracyTable has a row for each domain.
func accuracyTable(c *trt.Card) string {
	t := terminal.NewTable("accuracy by the card")
	t.Column("mIoU")
	t.Rule()
	for _, domain := range slices.Sorted(maps.Keys(c.Accuracy)) {
		t.Row(plain(domain), fmt.Sprintf("%.2f", c.Accuracy[domain].MIoU))
	}
	return t.String()
}

func (d *modelInfo) parameterTable() string {
	t := terminal.NewTable("parameters")
	t.Column("number")
	t.Column("bytes")
	t.Rule()
	row := func(name string, parameters, bytes int64) {
		t.Row(name, terminal.Count(parameters), terminal.Count(bytes))
	}
	for _, c := range d.Constants {
		row(c.Type, c.Parameters, c.Bytes)
	}
	t.Rule()
	row("all", d.Parameters, d.Bytes)
	return t.String()
}

// precisions sums up the layers, weights first.
func (d *modelInfo) precisions() string {
	if d.Convolutions == 0 {
		return "no convolutions\n"
	}
	weights := tally(d.Layers, func(l inspect.Layer) string { return l.Weight })
	text := fmt.Sprintf("%d of %s %s", len(weights[0].layers), terminal.Plural(d.Convolutions, "convolution"), weights[0].precision)
	for _, w := range weights[1:] {
		text += fmt.Sprintf(", %d %s", len(w.layers), w.precision)
		if len(w.layers) <= 3 {
			text += " (" + strings.Join(w.layers, ", ") + ")"
		}
	}
	activations := func(title string, of func(inspect.Layer) string) string {
		var parts []string
		for _, a := range tally(d.Layers, of) {
			parts = append(parts, fmt.Sprintf("%d %s", len(a.layers), a.precision))
		}
		return title + strings.Join(parts, ", ")
	}
	return text + "\n" + activations("activations read: ", func(l inspect.Layer) string { return l.Input }) +
		activations("; written: ", func(l inspect.Layer) string { return l.Output }) + "\n"
}

// group is the layers of one precision.
type group struct {
	precision string
	layers    []string
}

// tally groups layers by precision, the largest group first.
func tally(layers []inspect.Layer, of func(inspect.Layer) string) []group {
	var groups []group
	for _, l := range layers {
		at := slices.IndexFunc(groups, func(g group) bool { return g.precision == of(l) })
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{precision: of(l)})
		}
		groups[at].layers = append(groups[at].layers, plain(l.Name))
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(len(b.layers), len(a.layers)) })
	return groups
}

func (d *modelInfo) layerTable() string {
	t := terminal.Table{Left: []bool{true, true, true, true, true}}
	t.Row("convolution", "weights", "precision", "reads", "writes")
	t.Rule()
	for _, l := range d.Layers {
		t.Row(plain(l.Name), inspect.Size(l.Shape), l.Weight, l.Input, l.Output)
	}
	return t.String()
}

// plain keeps text from a file from steering the terminal, and from flooding it.
func plain(text string) string {
	const longest = 300
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
	if runes := []rune(printable); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return printable
}

// wrap joins words with commas in lines of no more than width characters, if words allow.
func wrap(words []string, width int) []string {
	var lines []string
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		last := len(lines) - 1
		if last >= 0 && len([]rune(lines[last]))+1+len([]rune(word)) <= width {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}
