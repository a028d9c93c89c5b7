package rebuild

import (
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/run"
)

// Figure is a picture and what two decoders have made of its features, all of one size.
type Figure struct {
	Image, Base, Whitened *data.Picture
}

// ColorError returns how far the mean colour of a rebuilt picture is from the picture's: the
// mean over red, green and blue of the absolute difference, in the picture's units of 0 to 255.
func (f Figure) ColorError(rebuilt *data.Picture) float64 {
	want, got := meanColor(f.Image), meanColor(rebuilt)
	sum := 0.0
	for c := range want {
		sum += math.Abs(want[c] - got[c])
	}
	return sum / 3
}

func meanColor(p *data.Picture) (mean [3]float64) {
	for i, v := range p.RGB {
		mean[i%3] += float64(v) / float64(p.Width*p.Height)
	}
	return mean
}

// WriteFigures replaces the rebuilt pictures in a run folder, see [run.FiguresDir].
func WriteFigures(dir string, figures []Figure) error {
	folder := filepath.Join(dir, run.FiguresDir)
	if err := writeFigures(folder, figures); err != nil {
		return fmt.Errorf("write rebuilt pictures: %w", err)
	}
	return nil
}

func writeFigures(folder string, figures []Figure) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	written := map[string]bool{}
	for i, f := range figures {
		for part, p := range map[string]*data.Picture{"image": f.Image, "base": f.Base, "whitened": f.Whitened} {
			name := fmt.Sprintf("rebuilt_%d_%s.png", i, part)
			if err := writePNG(filepath.Join(folder, name), p); err != nil {
				return err
			}
			written[name] = true
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "rebuilt_") && !written[e.Name()] {
			if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func writePNG(path string, p *data.Picture) error {
	return atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, p.Image()) })
}
