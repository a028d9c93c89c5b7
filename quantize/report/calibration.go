package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// calibrationFacts says how ranges were found; nil where nothing was calibrated.
func calibrationFacts(c Calibration) []page.Fact {
	var facts []page.Fact
	add := func(known bool, name, value, hint string) {
		if known {
			facts = append(facts, page.Fact{Name: name, Value: value, Hint: hint})
		}
	}
	p := c.Pictures
	calibrated := p.Count > 0 || c.Range.Method != ""
	add(len(p.Sources) > 0, "calibrated on", list(p.Sources), "")
	add(p.Count > 0, "pictures", page.Count(p.Count), "")
	add(p.Views > 0, "views", page.Count(p.Views), "runs of the model")
	add(len(p.Style) > 0, "styles", list(p.Style), "")
	add(p.Count > 0, "seed", strconv.FormatUint(p.Seed, 10), "")
	add(c.Range.Method != "", "ranges", clip(string(c.Range.Method), maxName), rangeHint(c.Range))
	add(calibrated, "channels equalised", yesNo(c.Equalised), "")
	add(calibrated, "biases corrected", yesNo(c.Corrected), "")
	add(calibrated, "weights rounded adaptively", yesNo(c.Adapted), "")
	add(c.Seconds > 0 && page.IsFinite(c.Seconds), "time", page.Duration(c.Seconds), "")
	add(c.PeakBytes > 0, "peak memory", page.Bytes(c.PeakBytes), "")
	add(p.Hash != "", "SHA-256 of the pixels", clip(p.Hash, maxName), "")
	return facts
}

// list writes names one after the other, as many as are read.
func list(names []string) string {
	const most = 10
	var shown []string
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, clip(name, maxName))
	}
	if more := len(names) - most; more > 0 {
		shown = append(shown, fmt.Sprintf("%d more", more))
	}
	return strings.Join(shown, ", ")
}

func rangeHint(c histogram.Choice) string {
	if c.Share <= 0 || !page.IsFinite(c.Share) {
		return ""
	}
	return strconv.FormatFloat(100*c.Share, 'g', 6, 64) + " % of the values"
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}
