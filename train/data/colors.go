package data

import (
	"cmp"
	"image"
	"maps"
	"slices"
	"sync"

	"github.com/robustnet-edge/robustnet/train/labels"
)

// strangeColors counts the colours of label files that no class has. [Check] looks at the files a
// second time for it: reading them ignores such colours, and need not know which they are.
type strangeColors struct {
	// description is the file in which a class may be missing.
	description string
	known       map[uint32]bool

	mu     sync.Mutex
	counts map[uint32]colorCount
}

type colorCount struct {
	pixels int64
	files  int
}

func newStrangeColors(description string, classes labels.Set) *strangeColors {
	s := &strangeColors{description: description, known: map[uint32]bool{}, counts: map[uint32]colorCount{}}
	for _, c := range classes.Classes {
		s.known[rgbKey(c.Color[0], c.Color[1], c.Color[2])] = true
	}
	return s
}

// add counts those of a file.
func (s *strangeColors) add(path string) error {
	var pixels map[uint32]int64
	_, _, _, err := readLabels(path, func(img image.Image, _ int) ([]uint8, error) {
		pixels = countColors(img)
		return nil, nil
	})
	// most bounds the memory: files with more colours are photos, whose colours mean nothing.
	const most = 1 << 16
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, n := range pixels {
		count, seen := s.counts[key]
		if s.known[key] || !seen && len(s.counts) == most {
			continue
		}
		s.counts[key] = colorCount{count.pixels + n, count.files + 1}
	}
	return err
}

// notes lists the most frequent ones.
func (s *strangeColors) notes() []string {
	const shown = 10
	keys := slices.SortedFunc(maps.Keys(s.counts), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(s.counts[b].pixels, s.counts[a].pixels), cmp.Compare(a, b))
	})
	var notes []string
	for _, key := range keys[:min(shown, len(keys))] {
		count := s.counts[key]
		notes = append(notes, fault(s.description, "no class has the color [%d, %d, %d], which is ignored (pixels: %d, files: %d)",
			key>>16, key>>8&0xff, key&0xff, count.pixels, count.files).Error())
	}
	return notes
}

// countColors counts the pixels of each colour of an image that [byColor] takes.
func countColors(img image.Image) map[uint32]int64 {
	counts := map[uint32]int64{}
	switch img := img.(type) {
	case *image.Paletted:
		for _, index := range packed(img.Pix, img.Stride, img.Rect.Size()) {
			counts[colorKey(img.Palette[index])]++
		}
	case *image.RGBA:
		countPixels(counts, img.Pix)
	case *image.NRGBA:
		countPixels(counts, img.Pix)
	}
	return counts
}

// countPixels counts runs of equal pixels of four bytes at a time.
func countPixels(counts map[uint32]int64, pix []uint8) {
	last, run := uint32(0), int64(0)
	for i := 0; i+3 < len(pix); i += 4 {
		if key := rgbKey(pix[i], pix[i+1], pix[i+2]); key != last {
			counts[last] += run
			last, run = key, 0
		}
		run++
	}
	counts[last] += run
	maps.DeleteFunc(counts, func(_ uint32, n int64) bool { return n == 0 })
}
