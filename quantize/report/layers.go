package report

import (
	"fmt"
	"html/template"
	"image/color"

	"github.com/robustnet-edge/robustnet/internal/page"
)

// layerRanking are the layers whose quantisation costs most, the worst first.
type layerRanking struct {
	Rows []layerRow
	// Domains are those on which a loss was measured; nil if on none.
	Domains []Domain
	Chart   template.HTML
	// Kept tells whether one of them is left in float.
	Kept bool
	// Omitted is the number of those beyond the page's limit.
	Omitted int
}

type layerRow struct {
	Name, Shape, SQNR string
	Kept              bool
	// Cells go with the domains.
	Cells []accuracyCell

	decibels float64
}

// maxLayers is how many are shown.
const maxLayers = 25

func newLayerRanking(r *Report) (layerRanking, error) {
	shown := r.Layers[:min(len(r.Layers), maxLayers)]
	ranking := layerRanking{Omitted: len(r.Layers) - len(shown)}
	for _, l := range shown {
		if len(l.Drop) > 0 {
			ranking.Domains = r.Domains
		}
	}
	for _, l := range shown {
		row := layerRow{l.Name, l.Shape, measured(l.SQNR, "%.1f"), l.Kept, nil, l.SQNR}
		for d := range ranking.Domains {
			cell := accuracyCell{Difference: page.None}
			if d < len(l.Drop) && page.IsFinite(l.Drop[d]) {
				cell = accuracyCell{Difference: loss(l.Drop[d]), Level: level(l.Drop[d], r.Gate.MaxDrop)}
			}
			row.Cells = append(row.Cells, cell)
		}
		ranking.Kept = ranking.Kept || l.Kept
		ranking.Rows = append(ranking.Rows, row)
	}
	var err error
	ranking.Chart, err = drawLayers(ranking.Rows)
	return ranking, err
}

// drawLayers draws a bar for each layer with a finite ratio.
func drawLayers(rows []layerRow) (template.HTML, error) {
	var labels []string
	var finite []layerRow
	least, most := 0.0, 1.0
	for _, row := range rows {
		if page.IsFinite(row.decibels) {
			finite = append(finite, row)
			labels = append(labels, clip(row.Name, 44))
			least, most = min(least, row.decibels), max(most, row.decibels)
		}
	}
	if len(finite) == 0 {
		return "", nil
	}
	p := newRowPlot("SQNR of the class scores, dB", labels, least, most)
	var all bars
	var texts []barText
	for i, row := range finite {
		text, c := row.SQNR, page.SeriesColor(1)
		if row.Kept {
			text, c = text+", kept", color.Color(page.FaintInk)
		}
		all = append(all, bar{row.decibels, rowAt(i, len(finite)), 0.68, c})
		texts = append(texts, barText{max(row.decibels, 0), rowAt(i, len(finite)), text})
	}
	p.Add(all)
	labelled, err := newBarTexts(texts)
	if err != nil {
		return "", fmt.Errorf("draw layers: %w", err)
	}
	p.Add(labelled)
	says := fmt.Sprintf("Signal-to-quantisation-noise ratio of %d layers. The worst, %s, has %s dB.", len(finite), labels[0], finite[0].SQNR)
	svg, err := page.SVG(p, 820, 56+20*len(finite), says)
	if err != nil {
		return "", fmt.Errorf("draw layers: %w", err)
	}
	return svg, nil
}
