package report

import "github.com/robustnet-edge/robustnet/internal/page"

// ticks are those of every chart.
var ticks = page.Ticks
