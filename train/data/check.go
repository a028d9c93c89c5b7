package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Report is what [Check] finds in a data set.
type Report struct {
	// Name is that of the set, see [Set].
	Name     string `json:"name"`
	Pictures int    `json:"pictures"`
	// Sizes are those of the pictures, the most frequent first.
	Sizes []SizeCount `json:"sizes"`
	// Classes are in the order of their ids; none without labels.
	Classes []ClassCount `json:"classes,omitempty"`
	// IgnoredPixels is the number of pixels whose label counts for nothing.
	IgnoredPixels int64 `json:"ignored_pixels"`
	// Unknown are the label ids that the layout does not know, in their order.
	Unknown []UnknownCount `json:"unknown,omitempty"`
	// Notes are lines that begin with a path and tell of what is odd but does no harm: pairs
	// that the layout leaves out, pictures without any pixel of a class, where labels were looked
	// for in vain, and the most frequent colours of labels that no class has.
	Notes []string `json:"notes,omitempty"`
	// Faults are lines that begin with a path. What is faulty is counted nowhere else but in
	// Unknown.
	Faults []string `json:"faults,omitempty"`
}

// SizeCount is how many pictures have a size.
type SizeCount struct {
	Width    int `json:"width"`
	Height   int `json:"height"`
	Pictures int `json:"pictures"`
}

// ClassCount is how often a class occurs.
type ClassCount struct {
	Name   string `json:"name"`
	Pixels int64  `json:"pixels"`
	// Pictures is how many have at least one pixel of the class.
	Pictures int `json:"pictures"`
}

// UnknownCount is how often an unknown label id occurs.
type UnknownCount struct {
	ID     uint8 `json:"id"`
	Pixels int64 `json:"pixels"`
	Files  int   `json:"files"`
}

// Check opens a source, see [Open], and reads all of it, a picture on each processor at a
// time, and JPEG files twice, for what reading them does not find: see [ReadRGB]. An error says
// that it could not be opened, or is ctx's; faults of files are in the report. progress, if not
// nil, is called with the number of pictures read, one call at a time.
func Check(ctx context.Context, source string, progress func(done, all int)) (*Report, error) {
	set, faults, err := open(source)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", source, err)
	}
	classes := len(set.Classes.Classes)
	c := &checker{set: set, faults: faults, notes: set.Skipped, sizes: map[[2]int]int{}, pixels: make([]int64, classes), pictures: make([]int, classes)}
	if set.NoLabels != nil && !errors.Is(set.NoLabels, errNamedLabels) {
		c.notes = append(c.notes, set.NoLabels)
	}
	if set.colored != "" {
		c.strange = newStrangeColors(set.colored, set.Classes)
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range set.Len() {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			c.check(i, progress)
			return nil
		})
	}
	if err := errors.Join(group.Wait(), ctx.Err()); err != nil {
		return nil, fmt.Errorf("check %s: %w", source, err)
	}
	return c.report(), nil
}

// checker gathers what pictures have.
type checker struct {
	set     *Set
	strange *strangeColors // nil where labels are no colours

	mu       sync.Mutex
	done     int
	good     int
	sizes    map[[2]int]int
	pixels   []int64 // by class
	pictures []int   // by class
	ignored  int64
	unknown  [256]UnknownCount
	faults   []error
	notes    []error
}

func (c *checker) check(i int, progress func(done, all int)) {
	sample := c.set.samples[i]
	p, err := c.read(sample)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.fault(err)
	} else {
		c.count(p, sample)
	}
	c.done++
	if progress != nil {
		progress(c.done, c.set.Len())
	}
}

// read reads a picture, and its files once more for what reading leaves open.
func (c *checker) read(s Sample) (*Picture, error) {
	p, err := c.set.read(s, true)
	if err == nil && s.Image != "" {
		err = checkJPEG(s.Image)
	}
	if err == nil && s.Label != "" && c.strange != nil {
		err = c.strange.add(s.Label)
	}
	return p, err
}

func (c *checker) count(p *Picture, s Sample) {
	var histogram [256]int64
	for _, id := range p.Labels {
		histogram[id]++
	}
	c.good++
	c.sizes[[2]int{p.Width, p.Height}]++
	c.ignored += histogram[Ignored]
	if p.Labels != nil && histogram[Ignored] == int64(len(p.Labels)) {
		c.notes = append(c.notes, fault(s.Label, "no pixel has a class"))
	}
	for class := range c.pixels {
		c.pixels[class] += histogram[class]
		if histogram[class] > 0 {
			c.pictures[class]++
		}
	}
}

func (c *checker) fault(err error) {
	c.faults = append(c.faults, err)
	var strange UnknownIDs
	if !errors.As(err, &strange) {
		return
	}
	for _, u := range strange {
		count := &c.unknown[u.ID]
		count.ID = u.ID
		count.Pixels += int64(u.Pixels)
		count.Files++
	}
}

func (c *checker) report() *Report {
	r := &Report{Name: c.set.Name, Pictures: c.good, IgnoredPixels: c.ignored}
	for size, n := range c.sizes {
		r.Sizes = append(r.Sizes, SizeCount{size[0], size[1], n})
	}
	slices.SortFunc(r.Sizes, func(a, b SizeCount) int {
		return cmp.Or(cmp.Compare(b.Pictures, a.Pictures), cmp.Compare(a.Width, b.Width), cmp.Compare(a.Height, b.Height))
	})
	if c.set.Labelled() {
		for i, class := range c.set.Classes.Classes {
			r.Classes = append(r.Classes, ClassCount{class.Name, c.pixels[i], c.pictures[i]})
		}
	}
	for _, u := range c.unknown {
		if u.Files > 0 {
			r.Unknown = append(r.Unknown, u)
		}
	}
	r.Notes, r.Faults = lines(c.notes), lines(c.faults)
	if c.strange != nil {
		r.Notes = append(r.Notes, c.strange.notes()...)
	}
	return r
}

// lines are the errors' texts in alphabetical order, which is that of their paths.
func lines(errs []error) []string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	slices.Sort(texts)
	return texts
}
