package v4l2

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Mode is one way in which a camera delivers pictures.
type Mode struct {
	// Format is the pixel format as the option format has it, such as "YUYV" or "MJPEG".
	Format string `json:"format"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	// FPS is in frames per second; 0 where the driver does not tell.
	FPS float64 `json:"fps"`

	code     fourCC
	interval fraction
}

func (m Mode) String() string {
	return fmt.Sprintf("%s %dx%d at %.4g frames/s", m.Format, m.Width, m.Height, m.FPS)
}

// request is the mode that the user or the program would like.
type request struct {
	width, height int
	fps           float64
	exactSize     bool   // no other size will do
	format        string // empty: any
	// trial is how long the first picture may take, if there are other cameras to try; else 0.
	trial time.Duration
}

// usual sizes are tried where a driver takes any within bounds.
var usual = [][2]int{{640, 480}, {1280, 720}, {1920, 1080}, {3840, 2160}}

// modes lists what the device delivers, as far as it can be read, and the names of formats that
// cannot. Where the driver names bounds, the list has the wanted size and rate, the usual sizes
// and the bounds themselves.
func (d *device) modes(want request) (all []Mode, unreadable []string, err error) {
	codes, err := d.formats()
	if err != nil {
		return nil, nil, err
	}
	for _, code := range codes {
		f, known := formatOf(code)
		if !known {
			if name := code.String(); !slices.Contains(unreadable, name) {
				unreadable = append(unreadable, name)
			}
			continue
		}
		of, err := d.modesOf(f, want)
		if err != nil {
			return nil, nil, err
		}
		for _, m := range of {
			if !slices.Contains(all, m) { // some drivers repeat themselves
				all = append(all, m)
			}
		}
	}
	return all, unreadable, nil
}

func (d *device) modesOf(f format, want request) ([]Mode, error) {
	listed, err := d.sizes(f.code)
	if err != nil {
		return nil, err
	}
	if len(listed) == 0 { // then the driver has one, or does not tell
		if now, err := d.layout(); err == nil {
			listed = []sizes{{single(now.width), single(now.height)}}
		}
	}
	var all []Mode
	for _, s := range listed {
		for _, size := range s.candidates(want) {
			if !f.takes(size[0], size[1]) {
				continue
			}
			rates, err := d.intervals(f.code, size[0], size[1])
			if err != nil {
				return nil, err
			}
			for _, interval := range candidateIntervals(rates, want.fps) {
				all = append(all, Mode{
					Format: f.name, Width: size[0], Height: size[1], FPS: interval.rate(), code: f.code, interval: interval,
				})
			}
		}
	}
	return all, nil
}

// candidates are the sizes of an entry that are worth listing.
func (s sizes) candidates(want request) [][2]int {
	if s.width.low >= s.width.high && s.height.low >= s.height.high {
		return [][2]int{{s.width.low, s.height.low}}
	}
	var all [][2]int
	add := func(w, h int) {
		if size := [2]int{s.width.nearest(w), s.height.nearest(h)}; !slices.Contains(all, size) {
			all = append(all, size)
		}
	}
	add(want.width, want.height)
	for _, u := range usual {
		if u[0] <= s.width.high && u[1] <= s.height.high {
			add(u[0], u[1])
		}
	}
	add(s.width.low, s.height.low)
	add(s.width.high, s.height.high)
	return all
}

// candidateIntervals are the intervals of a list that are worth trying: of a range, the one that
// is nearest to the wanted rate and not slower, and both ends. Without a list there is one that
// is unknown.
func candidateIntervals(listed []intervals, fps float64) []fraction {
	if len(listed) == 0 {
		return []fraction{{}}
	}
	var all []fraction
	add := func(f fraction) {
		if f.rate() > 0 && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	for _, r := range listed {
		if r.shortest.rate() > fps && fps > r.longest.rate() && r.longest.rate() > 0 {
			add(r.within(fps))
		}
		add(r.shortest)
		add(r.longest)
	}
	if len(all) == 0 {
		return []fraction{{}}
	}
	return all
}

// within returns the longest interval of the range that is as fast as wanted.
func (r intervals) within(fps float64) fraction {
	exact := fraction{numerator: 1000, denominator: uint32(math.Round(fps * 1000))}
	step := r.step
	if step.rate() == 0 || step.denominator != r.shortest.denominator {
		return exact
	}
	// The steps have the denominator of the shortest interval.
	n := math.Floor((float64(step.denominator)/fps - float64(r.shortest.numerator)) / float64(step.numerator))
	return fraction{numerator: r.shortest.numerator + uint32(max(n, 0))*step.numerator, denominator: step.denominator}
}

// chooseMode picks from a device's modes the fastest one, up to the wanted rate, that is at
// least as large as wanted; among equals the smallest, then the one nearest above the wanted
// rate, then the one that costs the CPU least. If all are too small, it picks the largest. A
// format or exact size that the device does not list is an error that tells what it has.
func chooseMode(modes []Mode, unreadable []string, want request) (Mode, error) {
	if len(modes) == 0 {
		return Mode{}, fmt.Errorf("device offers no picture format that can be read (it has %s)", orNone(unreadable))
	}
	fit := modes
	if want.format != "" {
		f, known := formatNamed(want.format)
		if !known {
			return Mode{}, fmt.Errorf("format %s cannot be read; device has %s", want.format, describe(modes))
		}
		if fit = keep(fit, func(m Mode) bool { return m.Format == f.name }); len(fit) == 0 {
			return Mode{}, fmt.Errorf("device has no format %s; it has %s", want.format, describe(modes))
		}
	}
	if want.exactSize {
		all := fit
		if fit = keep(fit, func(m Mode) bool { return m.Width == want.width && m.Height == want.height }); len(fit) == 0 {
			return Mode{}, fmt.Errorf("device has no size %dx%d; it has %s", want.width, want.height, describe(all))
		}
	}
	covering := keep(fit, func(m Mode) bool { return m.Width >= want.width && m.Height >= want.height })
	if len(covering) > 0 {
		return slices.MinFunc(covering, func(a, b Mode) int {
			return cmp.Or(byRate(a, b, want.fps), cmp.Compare(area(a), area(b)), byExcess(a, b, want.fps), byCost(a, b))
		}), nil
	}
	return slices.MinFunc(fit, func(a, b Mode) int {
		return cmp.Or(cmp.Compare(area(b), area(a)), byRate(a, b, want.fps), byExcess(a, b, want.fps), byCost(a, b))
	}), nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func keep(modes []Mode, ok func(Mode) bool) []Mode {
	return slices.DeleteFunc(slices.Clone(modes), func(m Mode) bool { return !ok(m) })
}

func area(m Mode) int { return m.Width * m.Height }

// rate is a mode's frame rate; a device that lists none is taken to keep the wanted one.
func rate(m Mode, wanted float64) float64 {
	if m.FPS > 0 {
		return m.FPS
	}
	return wanted
}

// byRate puts the faster mode first, up to the wanted rate. Rates are rounded so that 29.97
// and 30 count as equal.
func byRate(a, b Mode, wanted float64) int {
	return cmp.Compare(math.Round(min(rate(b, wanted), wanted)), math.Round(min(rate(a, wanted), wanted)))
}

// byExcess puts the mode first that exceeds the wanted rate by less.
func byExcess(a, b Mode, wanted float64) int {
	return cmp.Compare(math.Round(max(rate(a, wanted), wanted)), math.Round(max(rate(b, wanted), wanted)))
}

// byCost puts the format first that costs the CPU least.
func byCost(a, b Mode) int { return cmp.Compare(costOf(a), costOf(b)) }

func costOf(m Mode) int {
	return slices.IndexFunc(formats, func(f format) bool { return f.name == m.Format })
}

// describe lists formats with their sizes, e.g. "MJPEG 1280x720 640x480, YUYV 640x480".
func describe(modes []Mode) string {
	if len(modes) == 0 {
		return "no modes"
	}
	sizes := map[string][]string{}
	var names []string
	for _, m := range slices.SortedStableFunc(slices.Values(modes), func(a, b Mode) int { return cmp.Compare(area(b), area(a)) }) {
		size := fmt.Sprintf("%dx%d", m.Width, m.Height)
		if !slices.Contains(sizes[m.Format], size) {
			sizes[m.Format] = append(sizes[m.Format], size)
		}
		if !slices.Contains(names, m.Format) {
			names = append(names, m.Format)
		}
	}
	slices.Sort(names)
	var parts []string
	for _, f := range names {
		parts = append(parts, f+" "+strings.Join(sizes[f], " "))
	}
	return strings.Join(parts, ", ")
}
