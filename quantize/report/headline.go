package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// headline is the top of the page.
type headline struct {
	Path, Name, Details string
	Gate                *gateView
	Blamed, Kept        layerList
	Tiles               []tile
}

// gateView is how the gate went.
type gateView struct {
	Passed bool
	// Accepted says what was asked for.
	Accepted string
	Misses   []missView
}

type missView struct{ Variant, Domain, Loss string }

// layerList are layers, folded if they are many.
type layerList struct {
	Title  string
	Layers []listedLayer
}

// listedLayer is a layer. Where names the variants that it is said of, if not all.
type listedLayer struct{ Name, Where string }

// Folded tells whether the list would take more room than the rest of the headline.
func (l layerList) Folded() bool {
	const few = 8
	return len(l.Layers) > few
}

// tile is a gated variant at a glance.
type tile struct {
	Name string
	// Loss is the worst over the domains, and Where says on which; they are empty without any.
	Loss, Where string
	// Missed tells whether the gate was missed because of it.
	Missed bool
	Ratios []ratio
}

// ratio compares a variant with the first one.
type ratio struct {
	Name, Text string
	// Percent is the length of the bar.
	Percent float64
}

func newHeadline(r *Report) headline {
	h := headline{Path: r.Model.Path, Name: r.Model.Name, Details: details(r), Gate: newGateView(r)}
	if h.Name == "" {
		h.Name = "unnamed model"
		if r.Model.Path != "" {
			h.Name = filepath.Base(r.Model.Path)
		}
	}
	h.Blamed.Title, h.Kept.Title = "Layers whose quantisation costs most", "Layers kept in float"
	for _, name := range r.Gate.Blamed {
		h.Blamed.Layers = append(h.Blamed.Layers, listedLayer{Name: name})
	}
	for _, name := range r.Gate.Kept {
		h.Kept.Layers = append(h.Kept.Layers, listedLayer{name, keptIn(r, name)})
	}
	for i, v := range r.Variants {
		if v.Gated {
			h.Tiles = append(h.Tiles, newTile(r, i))
		}
	}
	return h
}

// keptIn names the variants in integers that have left a layer in float; it is empty if all or
// none have.
func keptIn(r *Report, layer string) string {
	var in []string
	all := true
	for _, v := range r.Variants {
		if !v.Gated || v.Integer == 0 {
			continue
		}
		if slices.Contains(v.Kept, layer) {
			in = append(in, v.label())
		} else {
			all = false
		}
	}
	if all {
		return ""
	}
	return strings.Join(in, ", ")
}

// details are the model's method, trunk and size, as far as they are known.
func details(r *Report) string {
	m := r.Model
	parts := []string{page.MethodName(nn.Method(m.Method))}
	switch trunk := page.TrunkName(nn.Trunk(m.Trunk)); {
	case parts[0] == "":
		parts[0] = trunk
	case trunk != "":
		parts[0] += " on " + trunk
	}
	if m.Height > 0 && m.Width > 0 {
		parts = append(parts, fmt.Sprintf("%d×%d pixels", m.Height, m.Width))
	}
	if n := len(m.Labels); n > 0 {
		parts = append(parts, fmt.Sprintf("%d classes", n))
	}
	if len(r.Variants) > 0 && r.Variants[0].Bytes > 0 {
		parts = append(parts, page.Bytes(r.Variants[0].Bytes)+" as "+r.baseline())
	}
	return strings.TrimPrefix(strings.Join(parts, ", "), ", ")
}

// newGateView returns nil where there was no gate.
func newGateView(r *Report) *gateView {
	gated := false
	for _, v := range r.Variants {
		gated = gated || v.Gated
	}
	if !gated && len(r.Gate.Misses) == 0 {
		return nil
	}
	g := &gateView{Passed: r.Gate.Passed, Accepted: "no loss of mIoU is accepted on any domain"}
	if r.Gate.MaxDrop > 0 {
		g.Accepted = fmt.Sprintf("a loss of up to %s mIoU is accepted on any domain", inPoints(r.Gate.MaxDrop))
	}
	for _, m := range r.Gate.Misses {
		g.Misses = append(g.Misses, missView{m.Variant, m.Domain, loss(m.Drop)})
	}
	return g
}

// inPoints writes a number that somebody chose.
func inPoints(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if v == 1 {
		return text + " point"
	}
	return text + " points"
}

func newTile(r *Report, variant int) tile {
	v := r.Variants[variant]
	t := tile{Name: v.Name, Missed: slices.ContainsFunc(r.Gate.Misses, func(m Miss) bool { return m.Variant == v.Name })}
	worst, at, known := 0.0, 0, 0
	for d := range r.Domains {
		if drop, ok := r.drop(variant, d); ok {
			if known == 0 || drop > worst {
				worst, at = drop, d
			}
			known++
		}
	}
	if known > 0 {
		t.Loss = loss(worst)
		t.Where = "on " + clip(r.Domains[at].Name, maxName)
		if known > 1 {
			t.Where += fmt.Sprintf(", the worst of %d domains", known)
		}
	}
	if first := r.Variants[0]; first.Bytes > 0 && v.Bytes > 0 {
		t.Ratios = append(t.Ratios, newRatio("size", float64(v.Bytes)/float64(first.Bytes), page.Bytes(v.Bytes)))
	}
	// Operators computed one by one say nothing about the speed on the device that is meant, and
	// clocks that were held back little.
	if l := v.Latency; l != nil && !v.Literal && r.warning() == "" && l.Ratio > 0 && page.IsFinite(l.Ratio) {
		t.Ratios = append(t.Ratios, newRatio("time", l.Ratio, page.Small(l.Infer.P50)+" ms"))
	}
	return t
}

func newRatio(name string, value float64, size string) ratio {
	return ratio{name, fmt.Sprintf("×%.2f, %s", value, size), min(100*value, 100)}
}

// label is a variant's name for charts.
func (v Variant) label() string { return clip(cmp.Or(v.Name, "unnamed"), 24) }
