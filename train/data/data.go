// Package data reads labelled street pictures: the folders that data sets come in, and the
// maps from their labels to class ids. Everything may be used by several goroutines at once;
// only [Check] starts some of its own.
package data

import (
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/robustnet-edge/robustnet/train/labels"
)

// Ignored marks pixels without a class in [Picture.Labels], whatever number the data set's
// own files use.
const Ignored = labels.Ignored

// Picture is a picture with its labels.
type Picture struct {
	Width, Height int
	// RGB holds Height rows of Width pixels of three bytes.
	RGB []uint8
	// Labels holds Height rows of Width class ids, or [Ignored]; nil without labels.
	Labels []uint8
}

// Image returns a copy of the pixels for encoders.
func (p *Picture) Image() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(img.Pix[4*i:], p.RGB[3*i:3*i+3])
		img.Pix[4*i+3] = 0xff
	}
	return img
}

// BGR returns the pixels as blue, green, red, which is how frames of cameras have them. It uses
// the memory of buffer if that is large enough.
func (p *Picture) BGR(buffer []byte) []byte {
	buffer = slices.Grow(buffer[:0], len(p.RGB))[:len(p.RGB)]
	for i := 0; i+2 < len(p.RGB); i += 3 {
		buffer[i], buffer[i+1], buffer[i+2] = p.RGB[i+2], p.RGB[i+1], p.RGB[i]
	}
	return buffer
}

// Set is one split of a data set.
type Set struct {
	// Name is the user's, or else that of folder and split, such as "camvid:dusk_target".
	Name string
	// Classes says what the ids of [Picture.Labels] mean. It has the maps to other sets of
	// classes that the data set brings along.
	Classes labels.Set
	// NoLabels says where the labels of a source were looked for in vain; nil where there are some.
	NoLabels error
	// Skipped says which pairs of files the layout leaves out, and why.
	Skipped []error

	samples    []Sample
	read       reader
	unlabelled bool
	// colored is the description of the classes where label files tell them by colour; else empty.
	colored string
}

// reader reads a picture. Without pixels it may leave out RGB.
type reader func(s Sample, pixels bool) (*Picture, error)

// Sample names one picture of a set.
type Sample struct {
	// Name is unique in its set and the same on every machine.
	Name string
	// Image and Label are files; empty for drawn scenes. Label is empty where there are no
	// labels.
	Image, Label string

	street street
}

// NewSet returns a labelled set of pictures that are made by read, which several goroutines
// may call at once.
func NewSet(name string, classes labels.Set, samples []Sample, read func(Sample) (*Picture, error)) *Set {
	return &Set{Name: name, Classes: classes, samples: samples, read: func(s Sample, _ bool) (*Picture, error) { return read(s) }}
}

// Len returns the number of pictures.
func (s *Set) Len() int { return len(s.samples) }

// Sample returns what is known of the i-th picture without reading it.
func (s *Set) Sample(i int) Sample { return s.samples[i] }

// Labelled tells whether the pictures have labels.
func (s *Set) Labelled() bool { return !s.unlabelled }

// Read reads the i-th picture, which is then the caller's. Errors begin with the file.
func (s *Set) Read(i int) (*Picture, error) { return s.readPart(i, true) }

// ReadLabels is Read without the pixels: RGB is nil. The picture's file is not decoded, so that
// damage of it is not found.
func (s *Set) ReadLabels(i int) (*Picture, error) {
	p, err := s.readPart(i, false)
	if err != nil {
		return nil, err
	}
	p.RGB = nil
	return p, nil
}

func (s *Set) readPart(i int, pixels bool) (*Picture, error) {
	p, err := s.read(s.samples[i], pixels)
	if err != nil && s.unlabelled {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w; 'robustnet-train check' lists all faults of a data set", err)
	}
	return p, nil
}

// Subset returns the pictures with the given indices, in their order.
func (s *Set) Subset(indices []int) *Set {
	sub := *s
	sub.samples = make([]Sample, len(indices))
	for i, index := range indices {
		sub.samples[i] = s.samples[index]
	}
	return &sub
}

// Unlabelled returns the same pictures without labels: their files are not read.
func (s *Set) Unlabelled() *Set {
	bare := *s
	bare.unlabelled = true
	bare.samples = slices.Clone(s.samples)
	for i := range bare.samples {
		bare.samples[i].Label = ""
	}
	bare.read = func(sample Sample, pixels bool) (*Picture, error) {
		p, err := s.read(sample, pixels)
		if err == nil {
			p.Labels = nil
		}
		return p, err
	}
	return &bare
}

// Spread returns n of the numbers 0 to total-1, evenly spread, or all if there are fewer. They
// are indices for [Set.Subset].
func Spread(n, total int) []int {
	n = min(n, total)
	all := make([]int, n)
	for i := range all {
		all[i] = (2*i + 1) * total / (2 * n)
	}
	return all
}

// Relabel returns the same pictures, their labels mapped to other classes.
func (s *Set) Relabel(m labels.Map) (*Set, error) {
	if !m.From.SameClasses(s.Classes) {
		return nil, fmt.Errorf("relabel %s: its classes are those of %s, and the map is from %s", s.Name, s.Classes.Name, m.From.Name)
	}
	mapped := *s
	mapped.Classes = m.To
	mapped.read = func(sample Sample, pixels bool) (*Picture, error) {
		p, err := s.read(sample, pixels)
		if err != nil {
			return nil, err
		}
		m.Apply(p.Labels)
		return p, nil
	}
	return &mapped, nil
}

// As returns the same pictures with the classes of a network, see [Set.MapTo].
func (s *Set) As(classes labels.Set) (*Set, error) {
	if slices.Equal(s.Classes.Classes, classes.Classes) {
		return s, nil
	}
	m, ok := s.MapTo(classes)
	if !ok {
		return nil, fmt.Errorf("%s: no map leads from classes %q to %q; name one in a dataset.yaml", s.Name, s.Classes.Name, classes.Name)
	}
	return s.Relabel(m)
}

// MapTo returns the map from the set's classes to others: one that the data set brings
// along, or else a known one, see [labels.FindMap].
func (s *Set) MapTo(to labels.Set) (labels.Map, bool) {
	return labels.FindMap(s.Classes, to)
}

// FileError is a fault of a file. Its text begins with the path.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the fault.
func (e *FileError) Unwrap() error { return e.Err }

// fault says what is wrong with a file.
func fault(path, format string, args ...any) error {
	return &FileError{path, fmt.Errorf(format, args...)}
}

// errNothing is for sets without a picture.
var errNothing = errors.New("there are no pictures")
