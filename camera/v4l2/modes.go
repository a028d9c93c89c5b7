package v4l2

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/prop"
)

// request is the mode that the user or the program would like.
type request struct {
	width, height int
	fps           float64
	exactSize     bool   // no other size will do
	format        string // empty: any
}

// formats are the pixel formats that can be converted.
var formats = map[frame.Format]struct{ raw bool }{
	frame.FormatI420: {true}, frame.FormatNV12: {true}, frame.FormatNV21: {true},
	frame.FormatYUYV: {true}, frame.FormatUYVY: {true}, frame.FormatMJPEG: {false},
}

// aliases are other usual names of formats.
var aliases = map[string]frame.Format{"YUY2": frame.FormatYUYV, "MJPG": frame.FormatMJPEG, "YU12": frame.FormatI420}

// chooseMode picks from a device's modes the fastest one, up to the wanted rate, that is at
// least as large as wanted; among equals the smallest, then the one nearest above the wanted
// rate, then a raw one. If all are too small, it picks the largest. A format or exact size
// that the device does not list is an error that tells what it has: the driver would accept
// it, and decode garbage.
func chooseMode(modes []prop.Media, want request) (prop.Media, error) {
	usable := keep(modes, func(m prop.Media) bool {
		f, known := formats[m.FrameFormat]
		odd := m.Width%2 != 0 || m.Height%2 != 0
		return known && m.Width > 0 && m.Height > 0 && !(f.raw && odd) // chroma is halved
	})
	if len(usable) == 0 {
		return prop.Media{}, fmt.Errorf("device offers no picture format that can be read (%s)", describe(modes))
	}
	fit := usable
	if want.format != "" {
		wanted := frame.Format(strings.ToUpper(want.format))
		if a, ok := aliases[string(wanted)]; ok {
			wanted = a
		}
		if _, known := formats[wanted]; !known {
			return prop.Media{}, fmt.Errorf("format %s cannot be read; device has %s", want.format, describe(usable))
		}
		if fit = keep(fit, func(m prop.Media) bool { return m.FrameFormat == wanted }); len(fit) == 0 {
			return prop.Media{}, fmt.Errorf("device has no format %s; it has %s", want.format, describe(usable))
		}
	}
	if want.exactSize {
		all := fit
		if fit = keep(fit, func(m prop.Media) bool { return m.Width == want.width && m.Height == want.height }); len(fit) == 0 {
			return prop.Media{}, fmt.Errorf("device has no size %dx%d; it has %s", want.width, want.height, describe(all))
		}
	}
	covering := keep(fit, func(m prop.Media) bool { return m.Width >= want.width && m.Height >= want.height })
	if len(covering) > 0 {
		return slices.MinFunc(covering, func(a, b prop.Media) int {
			return cmp.Or(byRate(a, b, want.fps), cmp.Compare(area(a), area(b)), byExcess(a, b, want.fps), byFormat(a, b))
		}), nil
	}
	return slices.MinFunc(fit, func(a, b prop.Media) int {
		return cmp.Or(cmp.Compare(area(b), area(a)), byRate(a, b, want.fps), byExcess(a, b, want.fps), byFormat(a, b))
	}), nil
}

func keep(modes []prop.Media, ok func(prop.Media) bool) []prop.Media {
	var kept []prop.Media
	for _, m := range modes {
		if ok(m) {
			kept = append(kept, m)
		}
	}
	return kept
}

func area(m prop.Media) int { return m.Width * m.Height }

// rate is a mode's frame rate; a device that lists none is taken to keep the wanted one.
func rate(m prop.Media, wanted float64) float64 {
	if m.FrameRate > 0 {
		return float64(m.FrameRate)
	}
	return wanted
}

// byRate puts the faster mode first, up to the wanted rate. Rates are rounded so that 29.97
// and 30 count as equal.
func byRate(a, b prop.Media, wanted float64) int {
	return cmp.Compare(math.Round(min(rate(b, wanted), wanted)), math.Round(min(rate(a, wanted), wanted)))
}

// byExcess puts the mode first that exceeds the wanted rate by less.
func byExcess(a, b prop.Media, wanted float64) int {
	return cmp.Compare(math.Round(max(rate(a, wanted), wanted)), math.Round(max(rate(b, wanted), wanted)))
}

// byFormat puts raw formats before compressed ones; the rest makes the choice repeatable.
func byFormat(a, b prop.Media) int {
	if ra, rb := formats[a.FrameFormat].raw, formats[b.FrameFormat].raw; ra != rb {
		if ra {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.FrameFormat, b.FrameFormat)
}

// describe lists formats with their sizes, e.g. "MJPEG 1280x720 640x480, YUYV 640x480".
func describe(modes []prop.Media) string {
	if len(modes) == 0 {
		return "no modes"
	}
	sizes := map[frame.Format][]string{}
	sorted := slices.SortedFunc(slices.Values(modes), func(a, b prop.Media) int { return cmp.Compare(area(b), area(a)) })
	for _, m := range sorted {
		size := fmt.Sprintf("%dx%d", m.Width, m.Height)
		if !slices.Contains(sizes[m.FrameFormat], size) {
			sizes[m.FrameFormat] = append(sizes[m.FrameFormat], size)
		}
	}
	var parts []string
	for _, f := range slices.Sorted(maps.Keys(sizes)) {
		parts = append(parts, string(f)+" "+strings.Join(sizes[f], " "))
	}
	return strings.Join(parts, ", ")
}
