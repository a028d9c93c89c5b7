package evaluate

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/run"
)

// Exhibit is a picture to be shown with its labels and its prediction, both in Classes.
type Exhibit struct {
	// Name is that of the sample, and MIoU as [Scoring.MIoU] has it.
	Name       string
	MIoU       float64
	Picture    *data.Picture
	Prediction []uint8
	Classes    labels.Set
}

// Exhibit returns a picture as [Scorer.Each] gets it for showing.
func (s *Scoring) Exhibit(name string, p *data.Picture, prediction []uint8) (Exhibit, error) {
	miou, err := s.MIoU(p.Labels, prediction)
	return Exhibit{name, miou, p, prediction, s.Classes}, err
}

// Exhibits are exhibits of one kind, such as the worst ones.
type Exhibits struct {
	Kind string
	List []Exhibit
}

// WriteExhibits draws all exhibits into a folder, which it makes: of the i-th one of a kind
// KIND_i_image.png, KIND_i_truth.png and KIND_i_prediction.png, classes in their colours and
// other labels in black. [run.FiguresList] names them. Those without a picture are left out.
// Pictures of these kinds that were there before are removed, other files stay.
func WriteExhibits(dir string, kinds ...Exhibits) error {
	if err := writeExhibits(dir, kinds); err != nil {
		return fmt.Errorf("draw figures: %w", err)
	}
	return nil
}

func writeExhibits(dir string, kinds []Exhibits) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var list bytes.Buffer
	written := map[string]bool{}
	for _, kind := range kinds {
		for i, e := range kind.List {
			if e.Picture == nil {
				continue
			}
			files := fmt.Sprintf("%s_%d", kind.Kind, i)
			if err := e.write(dir, files); err != nil {
				return err
			}
			written[files] = true
			fmt.Fprintf(&list, "%s\t%.2f\t%s\n", files, e.MIoU, e.Name)
		}
	}
	if err := atomicfile.Bytes(filepath.Join(dir, run.FiguresList), list.Bytes()); err != nil {
		return err
	}
	return removeOthers(dir, kinds, written)
}

var exhibitName = regexp.MustCompile(`^((.+)_[0-9]+)_(image|truth|prediction)\.png$`)

// removeOthers removes the pictures of exhibits of these kinds that were not written.
func removeOthers(dir string, kinds []Exhibits, written map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := exhibitName.FindStringSubmatch(e.Name())
		if name == nil || written[name[1]] || !slices.ContainsFunc(kinds, func(k Exhibits) bool { return k.Kind == name[2] }) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// ClassImage draws class ids, row by row, in the colours of their classes, and others in black.
// It refers to the ids.
func ClassImage(size image.Rectangle, ids []uint8, classes labels.Set) image.Image {
	palette := slices.Repeat(color.Palette{color.Black}, 256)
	for i, c := range classes.Classes {
		palette[i] = color.NRGBA{c.Color[0], c.Color[1], c.Color[2], 255}
	}
	return &image.Paletted{Pix: ids, Stride: size.Dx(), Rect: size, Palette: palette}
}

func (e Exhibit) write(dir, name string) error {
	size := image.Rect(0, 0, e.Picture.Width, e.Picture.Height)
	classes := func(ids []uint8) image.Image { return ClassImage(size, ids, e.Classes) }
	for part, img := range map[string]image.Image{"image": e.Picture.Image(), "truth": classes(e.Picture.Labels), "prediction": classes(e.Prediction)} {
		path := filepath.Join(dir, name+"_"+part+".png")
		if err := atomicfile.Replace(path, func(w io.Writer) error { return png.Encode(w, img) }); err != nil {
			return err
		}
	}
	return nil
}

// Worst keeps the exhibits of the lowest mIoU.
type Worst struct {
	// Limit is how many are kept.
	Limit int
	// Exhibits are those so far, the worst first.
	Exhibits []Exhibit
}

// Add takes an exhibit in if it is one of the worst; of equal ones, the first stay. Those
// without a labelled pixel never are.
func (w *Worst) Add(e Exhibit) {
	if math.IsNaN(e.MIoU) {
		return
	}
	at := sort.Search(len(w.Exhibits), func(i int) bool { return w.Exhibits[i].MIoU > e.MIoU })
	w.Exhibits = slices.Insert(w.Exhibits, at, e)
	w.Exhibits = w.Exhibits[:min(len(w.Exhibits), w.Limit)]
}
