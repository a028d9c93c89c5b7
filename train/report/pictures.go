package report

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/image/draw"

	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

// pictures are those of the figures folder, and the classes that explain their colours.
type pictures struct {
	Samples, Worst, Rebuilt []pictureRow
	Classes                 []trt.Class
	// Reconstruct is the command that makes the rebuilt ones.
	Reconstruct string
}

// pictureRow are pictures side by side.
type pictureRow struct {
	Title string
	Parts []picturePart
}

type picturePart struct {
	Name, Alt string
	// Picture is empty if the file could not be read.
	Picture template.URL
}

// kinds are the kinds of figures with their parts, and how many of each are shown.
var kinds = []struct {
	name, title string
	parts       []string
	limit       int
}{
	{"sample", "Sample", []string{"image", "truth", "prediction"}, 6},
	{"worst", "Worst", []string{"image", "truth", "prediction"}, 4},
	{"rebuilt", "Picture", []string{"image", "base", "whitened"}, 4},
}

var figureName = regexp.MustCompile(`^(sample|worst|rebuilt)_([0-9]{1,6})_(image|truth|prediction|base|whitened)\.png$`)

func readPictures(dir string, set labels.Set) (pictures, error) {
	p := pictures{Classes: set.Classes, Reconstruct: "robustnet-train reconstruct --run " + dir}
	folder := filepath.Join(dir, run.FiguresDir)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read figures: %w", err)
	}
	files := map[string]bool{}
	numbers := map[string][]int{}
	for _, e := range entries {
		match := figureName.FindStringSubmatch(e.Name())
		if match == nil {
			continue
		}
		files[e.Name()] = true
		if n, err := strconv.Atoi(match[2]); err == nil && !slices.Contains(numbers[match[1]], n) {
			numbers[match[1]] = append(numbers[match[1]], n)
		}
	}
	var errs []error
	rows := map[string][]pictureRow{}
	for _, kind := range kinds {
		found := numbers[kind.name]
		slices.Sort(found)
		for i, n := range found[:min(len(found), kind.limit)] {
			row := pictureRow{Title: fmt.Sprintf("%s %d", kind.title, i+1)}
			for _, part := range kind.parts {
				file := fmt.Sprintf("%s_%d_%s.png", kind.name, n, part)
				if !files[file] {
					continue
				}
				picture, err := embed(filepath.Join(folder, file), part == "truth" || part == "prediction")
				errs = append(errs, err)
				row.Parts = append(row.Parts, picturePart{part, fmt.Sprintf("%s, %s", row.Title, part), picture})
			}
			rows[kind.name] = append(rows[kind.name], row)
		}
	}
	p.Samples, p.Worst, p.Rebuilt = rows["sample"], rows["worst"], rows["rebuilt"]
	return p, errors.Join(errs...)
}

const (
	// maxWidth is that of an embedded picture.
	maxWidth = 640
	// maxPixels bounds what is decoded.
	maxPixels = 1 << 25
)

// embed returns a picture of at most maxWidth: photographs as JPEG; drawn ones, of few colours,
// as PNG.
func embed(path string, drawn bool) (template.URL, error) {
	picture, err := decode(path)
	if err != nil {
		return "", fmt.Errorf("read figure %s: %w", path, err)
	}
	picture = shrink(picture, drawn)
	if drawn {
		return pngURL(reduce(picture))
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, picture, &jpeg.Options{Quality: 82}); err != nil {
		return "", fmt.Errorf("encode figure %s: %w", path, err)
	}
	return dataURL("image/jpeg", file.Bytes()), nil
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
		return nil, fmt.Errorf("%d×%d pixels are no figure", size.Width, size.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	return png.Decode(f)
}

// shrink scales wide pictures to maxWidth. The colours of drawn ones are not mixed.
func shrink(picture image.Image, drawn bool) image.Image {
	b := picture.Bounds()
	if b.Dx() <= maxWidth {
		return picture
	}
	small := image.NewRGBA(image.Rect(0, 0, maxWidth, max(b.Dy()*maxWidth/b.Dx(), 1)))
	var scaler draw.Interpolator = draw.ApproxBiLinear
	if drawn {
		scaler = draw.NearestNeighbor
	}
	scaler.Scale(small, small.Bounds(), picture, b, draw.Src, nil)
	return small
}

// reduce returns the picture with a palette, which takes less room, if it has few colours.
func reduce(picture image.Image) image.Image {
	b := picture.Bounds()
	small := image.NewPaletted(image.Rect(0, 0, b.Dx(), b.Dy()), nil)
	index := map[color.RGBA]uint8{}
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.RGBAModel.Convert(picture.At(b.Min.X+x, b.Min.Y+y)).(color.RGBA)
			i, known := index[c]
			if !known {
				if len(index) == 256 {
					return picture
				}
				i = uint8(len(index))
				index[c] = i
				small.Palette = append(small.Palette, c)
			}
			small.Pix[y*small.Stride+x] = i
		}
	}
	return small
}
