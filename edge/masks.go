package edge

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
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
	numbers *atomic.Uint64
}

// newMaskWriter makes the folder. Masks without names take the next of numbers.
func newMaskWriter(folder string, d trt.Description, numbers *atomic.Uint64) (*maskWriter, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("write masks: %w; choose another folder with --masks", err)
	}
	return &maskWriter{
		folder:  folder,
		size:    image.Pt(d.MaskWidth, d.MaskHeight),
		numbers: numbers,
		encoder: png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: new(pngBuffer)},
	}, nil
}

// write names the file after the picture, or after its number where the source has no
// names.
func (w *maskWriter) write(s *shot) error {
	name := s.frame.Name
	if name == "" {
		name = fmt.Sprintf("%06d", w.numbers.Add(1)-1)
	}
	img := &image.Gray{Pix: s.mask, Stride: w.size.X, Rect: image.Rectangle{Max: w.size}}
	path := filepath.Join(w.folder, name+".png")
	err := atomicfile.Replace(path, func(file io.Writer) error { return w.encoder.Encode(file, img) })
	if err != nil {
		return fmt.Errorf("write mask of frame %d: %w", s.frame.Seq, err)
	}
	return nil
}

// pngBuffer keeps the encoder's one buffer between masks.
type pngBuffer struct{ b *png.EncoderBuffer }

func (p *pngBuffer) Get() *png.EncoderBuffer  { return p.b }
func (p *pngBuffer) Put(b *png.EncoderBuffer) { p.b = b }
