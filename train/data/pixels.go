package data

import (
	"errors"
	"image"
	"image/color"

	"github.com/robustnet-edge/robustnet/train/labels"
)

var errNoIDs = errors.New("the pixels are neither greys nor of a palette, so they are no ids")

// greyIDs takes grey values, or indices into a palette, as ids.
func greyIDs(img image.Image, depth int) ([]uint8, error) {
	switch img := img.(type) {
	case *image.Paletted:
		return packed(img.Pix, img.Stride, img.Rect.Size()), nil
	case *image.Gray:
		ids := packed(img.Pix, img.Stride, img.Rect.Size())
		if depth < 8 { // the decoder stretches few bits over the grey scale
			step := uint8(255 / (1<<depth - 1))
			for i := range ids {
				ids[i] /= step
			}
		}
		return ids, nil
	case *image.Gray16:
		return firstSample(img.Pix, 2)
	}
	return nil, errNoIDs
}

// redIDs takes the first channel as ids, as SYNTHIA's 16 bit files have it, or grey values.
func redIDs(img image.Image, depth int) ([]uint8, error) {
	switch img := img.(type) {
	case *image.RGBA64:
		return firstSample(img.Pix, 8)
	case *image.NRGBA64:
		return firstSample(img.Pix, 8)
	}
	return greyIDs(img, depth)
}

// firstSample returns the first 16 bit sample, big endian, of each pixel of so many bytes.
func firstSample(pix []uint8, pixelBytes int) ([]uint8, error) {
	ids := make([]uint8, len(pix)/pixelBytes)
	for i := range ids {
		if pix[i*pixelBytes] != 0 {
			return nil, errors.New("there are label ids above 255")
		}
		ids[i] = pix[i*pixelBytes+1]
	}
	return ids, nil
}

// packed drops what lies between rows.
func packed(pix []uint8, stride int, size image.Point) []uint8 {
	if stride == size.X {
		return pix[:size.X*size.Y]
	}
	ids := make([]uint8, 0, size.X*size.Y)
	for y := range size.Y {
		ids = append(ids, pix[y*stride:][:size.X]...)
	}
	return ids
}

// byColor takes pixels in exactly the colour of a class as its id, all others as [Ignored].
func byColor(set labels.Set) decoder {
	ids := map[uint32]uint8{}
	for i, c := range set.Classes {
		ids[rgbKey(c.Color[0], c.Color[1], c.Color[2])] = uint8(i)
	}
	id := func(key uint32) uint8 {
		if id, ok := ids[key]; ok {
			return id
		}
		return Ignored
	}
	return func(img image.Image, _ int) ([]uint8, error) {
		switch img := img.(type) {
		case *image.Paletted:
			out := packed(img.Pix, img.Stride, img.Rect.Size())
			var table [256]uint8
			for i, c := range img.Palette {
				table[i] = id(colorKey(c))
			}
			for i, index := range out {
				out[i] = table[index]
			}
			return out, nil
		case *image.RGBA: // opaque: the decoder's type for RGB
			return colorIDs(img.Pix, id), nil
		case *image.NRGBA:
			return colorIDs(img.Pix, id), nil
		}
		return nil, errors.New("the pixels are not 8 bit colours, so no classes can be told from them")
	}
}

// colorIDs looks up pixels of four bytes. Neighbours are mostly equal, so that looking up
// only changes is several times faster.
func colorIDs(pix []uint8, id func(key uint32) uint8) []uint8 {
	ids := make([]uint8, len(pix)/4)
	last, lastID := uint32(0), id(0)
	for i := range ids {
		p := pix[4*i : 4*i+4]
		if key := rgbKey(p[0], p[1], p[2]); key != last {
			last, lastID = key, id(key)
		}
		ids[i] = lastID
	}
	return ids
}

func colorKey(c color.Color) uint32 {
	r, g, b, _ := c.RGBA()
	return rgbKey(uint8(r>>8), uint8(g>>8), uint8(b>>8))
}

func rgbKey(r, g, b uint8) uint32 { return uint32(r)<<16 | uint32(g)<<8 | uint32(b) }
