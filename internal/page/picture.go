package page

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"

	"golang.org/x/image/draw"
)

// maxPixels bounds what is decoded.
const maxPixels = 1 << 25

// Picture returns the picture of a PNG file, scaled to a width of at most maxWidth:
// photographs as JPEG; drawn ones, of few colours that are not mixed, as PNG.
func Picture(path string, maxWidth int, drawn bool) (template.URL, error) {
	picture, err := decode(path)
	if err != nil {
		return "", fmt.Errorf("read picture %s: %w", path, err)
	}
	shown := shrink(picture, maxWidth, drawn)
	if drawn {
		return PNG(reduce(shown))
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, shown, &jpeg.Options{Quality: 82}); err != nil {
		return "", fmt.Errorf("encode picture %s: %w", path, err)
	}
	return dataURL("image/jpeg", file.Bytes()), nil
}

// PNG returns a picture without loss.
func PNG(picture image.Image) (template.URL, error) {
	var file bytes.Buffer
	if err := png.Encode(&file, picture); err != nil {
		return "", fmt.Errorf("encode picture: %w", err)
	}
	return dataURL("image/png", file.Bytes()), nil
}

func dataURL(kind string, content []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content))
}

func decode(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := png.DecodeConfig(f)
	if err != nil {
		return nil, err
	}
	if size.Width < 1 || size.Height < 1 || size.Width > maxPixels/size.Height || size.Height > 4*size.Width {
		return nil, fmt.Errorf("%d×%d pixels are too many or no picture", size.Width, size.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	return png.Decode(f)
}

// shrink scales wide pictures to maxWidth. The colours of drawn ones are not mixed.
func shrink(picture image.Image, maxWidth int, drawn bool) *image.RGBA {
	b := picture.Bounds()
	width, height := b.Dx(), b.Dy()
	if width > maxWidth {
		width, height = maxWidth, max(height*maxWidth/width, 1)
	}
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	var scaler draw.Interpolator = draw.ApproxBiLinear
	if drawn || width == b.Dx() {
		scaler = draw.NearestNeighbor
	}
	scaler.Scale(small, small.Bounds(), picture, b, draw.Src, nil)
	return small
}

// reduce returns the picture with a palette, which takes less room, if it has few colours.
func reduce(picture *image.RGBA) image.Image {
	small := image.NewPaletted(picture.Rect, nil)
	index := map[color.RGBA]uint8{}
	for at := range small.Pix {
		rgba := picture.Pix[4*at : 4*at+4]
		c := color.RGBA{rgba[0], rgba[1], rgba[2], rgba[3]}
		i, known := index[c]
		if !known {
			if len(index) == 256 {
				return picture
			}
			i = uint8(len(index))
			index[c] = i
			small.Palette = append(small.Palette, c)
		}
		small.Pix[at] = i
	}
	return small
}
