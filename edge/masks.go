package edge

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/robustnet-edge/robustnet/trt"
)

// outputCounts counts what was written.
type outputCounts struct {
	masks, video atomic.Uint64
}

// maskWriter writes masks as PNG label images: 8-bit grey, pixel value = class id, at the
// mask's own size.
type maskWriter struct {
	folder  string
	size    image.Point
	encoder png.Encoder
	count   int
}

func newMaskWriter(folder string, d trt.Description) (*maskWriter, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("write masks: %w; choose another folder with --masks", err)
	}
	return &maskWriter{
		folder:  folder,
		size:    image.Pt(d.MaskWidth, d.MaskHeight),
		encoder: png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: new(pngBuffer)},
	}, nil
}

// write names the file after the picture, or after its number from zero where the source
// has no names.
func (w *maskWriter) write(s *shot) error {
	name := s.frame.Name
	if name == "" {
		name = fmt.Sprintf("%06d", w.count)
	}
	w.count++
	img := &image.Gray{Pix: s.mask, Stride: w.size.X, Rect: image.Rectangle{Max: w.size}}
	if err := w.replace(filepath.Join(w.folder, name+".png"), img); err != nil {
		return fmt.Errorf("write mask of frame %d: %w", s.frame.Seq, err)
	}
	return nil
}

// replace writes beside the target and renames, so that no half-written mask is ever seen
// under its name.
func (w *maskWriter) replace(path string, img image.Image) (err error) {
	f, err := os.CreateTemp(w.folder, ".mask-*.png")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = errors.Join(w.encoder.Encode(f, img), f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// pngBuffer keeps the encoder's one buffer between masks.
type pngBuffer struct{ b *png.EncoderBuffer }

func (p *pngBuffer) Get() *png.EncoderBuffer  { return p.b }
func (p *pngBuffer) Put(b *png.EncoderBuffer) { p.b = b }
