package report

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/internal/shell"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

// pictures are those of the figures folder, and the classes that explain their colours.
type pictures struct {
	Samples, Worst, Rebuilt []page.PictureRow
	Classes                 []trt.Class
	// Reconstruct is the command that makes the rebuilt ones; empty where nothing is whitened.
	Reconstruct string
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
	rows := map[string][]page.PictureRow{}
	for _, kind := range kinds {
		found := numbers[kind.name]
		slices.Sort(found)
		for i, n := range found[:min(len(found), kind.limit)] {
			row := page.PictureRow{Title: fmt.Sprintf("%s %d", kind.title, i+1), Name: names[fmt.Sprintf("%s_%d", kind.name, n)]}
			for _, part := range kind.parts {
				file := fmt.Sprintf("%s_%d_%s.png", kind.name, n, part.name)
				if !files[file] {
					continue
				}
				picture, err := embed(filepath.Join(folder, file), part.drawn)
				errs = append(errs, err)
				row.Parts = append(row.Parts, page.PicturePart{Name: part.title, Alt: row.Title + ": " + part.title, Picture: picture})
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

// maxWidth is that of an embedded picture.
const maxWidth = 640

// embed returns a figure for the page; drawn ones have few colours.
func embed(path string, drawn bool) (template.URL, error) {
	return page.Picture(path, maxWidth, drawn)
}
