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
	"strings"

	"golang.org/x/image/draw"

	"github.com/robustnet-edge/robustnet/internal/shell"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

// pictures are those of the figures folder, and the classes that explain their colours.
type pictures struct {
	Samples, Worst, Rebuilt []pictureRow
	Classes                 []trt.Class
	// Reconstruct is the command that makes the rebuilt ones; empty where nothing is whitened.
	Reconstruct string
}

// pictureRow are pictures side by side.
type pictureRow struct {
	Title string
	// Name is what the picture is called where it comes from, with its mIoU; it may be empty.
	Name  string
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
	parts       []figurePart
	limit       int
}{
	{"sample", "Sample", segmented, 6},
	{"worst", "Worst", segmented, 4},
	{"rebuilt", "Picture", []figurePart{{"image", "image", false}, {"base", "rebuilt without this whitening", false}, {"whitened", "rebuilt from whitened features", false}}, 4},
}

// figurePart is a part's name in the file's name, and what it shows. Drawn ones have few
// colours.
type figurePart struct {
	name, title string
	drawn       bool
}

var segmented = []figurePart{{"image", "image", false}, {"truth", "truth", true}, {"prediction", "prediction", true}}

var figureName = regexp.MustCompile(`^(sample|worst|rebuilt)_([0-9]{1,6})_(image|truth|prediction|base|whitened)\.png$`)

func readPictures(dir string, c run.Config) (pictures, error) {
	p := pictures{Classes: c.Labels.Classes}
	if c.Method != nn.Base {
		source := "LAYOUT=DIR"
		if c.Training != nil && len(c.Training.Sources) > 0 {
			source = c.Training.Sources[0]
		}
		p.Reconstruct = fmt.Sprintf("robustnet-train reconstruct --run %s --on %s", shell.Quote(dir), shell.Quote(source))
	}
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
	names, err := readNames(filepath.Join(folder, run.FiguresList))
	errs := []error{err}
	rows := map[string][]pictureRow{}
	for _, kind := range kinds {
		found := numbers[kind.name]
		slices.Sort(found)
		for i, n := range found[:min(len(found), kind.limit)] {
			row := pictureRow{Title: fmt.Sprintf("%s %d", kind.title, i+1), Name: names[fmt.Sprintf("%s_%d", kind.name, n)]}
			for _, part := range kind.parts {
				file := fmt.Sprintf("%s_%d_%s.png", kind.name, n, part.name)
				if !files[file] {
					continue
				}
				picture, err := embed(filepath.Join(folder, file), part.drawn)
				errs = append(errs, err)
				row.Parts = append(row.Parts, picturePart{part.title, row.Title + ": " + part.title, picture})
			}
			rows[kind.name] = append(rows[kind.name], row)
		}
	}
	p.Samples, p.Worst, p.Rebuilt = rows["sample"], rows["worst"], rows["rebuilt"]
	return p, errors.Join(errs...)
}

// readNames returns the names in a list of figures by what the figures' files are called.
func readNames(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	names := map[string]string{}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(parts) != 3 {
			continue
		}
		name := parts[2]
		if miou, err := strconv.ParseFloat(parts[1], 64); err == nil && isFinite(miou) {
			name += ", mIoU " + points(miou)
		}
		names[parts[0]] = name
	}
	return names, nil
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
	shown := shrink(picture, drawn)
	if drawn {
		return pngURL(reduce(shown))
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, shown, &jpeg.Options{Quality: 82}); err != nil {
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
func shrink(picture image.Image, drawn bool) *image.RGBA {
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
