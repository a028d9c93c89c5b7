// Package data reads labelled street pictures: the folders that data sets come in, and the
// maps from their labels to class ids. Nothing here starts goroutines; everything may be
// used by several at once.
package data

import "github.com/robustnet-edge/robustnet/train/labels"

// Ignored marks pixels without a class in [Picture.Labels], whatever number the data set's
// own files use.
const Ignored = 255

// Picture is a picture with its labels.
type Picture struct {
	Width, Height int
	// RGB holds Height rows of Width pixels of three bytes.
	RGB []uint8
	// Labels holds Height rows of Width class ids, or [Ignored]; nil without labels.
	Labels []uint8
}

// Set is one split of a data set.
type Set struct {
	// Name is the user's, or else that of folder and split, such as "camvid:dusk_target".
	Name string
	// Classes says what the ids of [Picture.Labels] mean.
	Classes labels.Set

	samples []Sample
	read    func(Sample) (*Picture, error)
}

// Sample names one picture of a set.
type Sample struct {
	// Name is unique in its set and the same on every machine.
	Name string
	// Image and Label are files; empty for drawn scenes.
	Image, Label string
}

// Len returns the number of pictures.
func (s *Set) Len() int { return len(s.samples) }

// Sample returns what is known of the i-th picture without reading it.
func (s *Set) Sample(i int) Sample { return s.samples[i] }

// Read reads the i-th picture. Errors name the file.
func (s *Set) Read(i int) (*Picture, error) { return s.read(s.samples[i]) }
