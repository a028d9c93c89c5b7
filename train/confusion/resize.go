package confusion

import "fmt"

// Resize scales a map of labels to another size by nearest neighbour: each pixel of the
// result takes the label of the source pixel that holds its centre, as Pillow and PyTorch's
// "nearest-exact" do. OpenCV's INTER_NEAREST takes the one that holds its corner; both agree
// when the new size is a multiple of the old one. Sizes are in pixels.
func Resize(labels []uint8, width, height, toWidth, toHeight int) ([]uint8, error) {
	if min(width, height, toWidth, toHeight) < 1 || len(labels)%width != 0 || len(labels)/width != height {
		return nil, fmt.Errorf("scale %d labels from %d×%d to %d×%d: sizes do not fit", len(labels), width, height, toWidth, toHeight)
	}
	columns := make([]int, toWidth)
	for x := range columns {
		columns[x] = centre(x, width, toWidth)
	}
	out := make([]uint8, toWidth*toHeight)
	for y := range toHeight {
		from := labels[centre(y, height, toHeight)*width:][:width]
		to := out[y*toWidth:][:toWidth]
		for x, column := range columns {
			to[x] = from[column]
		}
	}
	return out, nil
}

// centre returns ⌊(i+½)·n/to⌋ without rounding.
func centre(i, n, to int) int { return (2*i + 1) * n / (2 * to) }
