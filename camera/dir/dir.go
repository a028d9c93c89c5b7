// Package dir plays a folder of images as a camera, through OpenCV.
package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/internal/pace"
	"github.com/robustnet-edge/robustnet/camera/internal/picture"
)

// defaultFPS spaces the frames' PTS where the address names no rate.
const defaultFPS = 1

// extensions are the image types that are read, in lower case.
var extensions = []string{".png", ".jpg", ".jpeg", ".bmp", ".webp"}

// source is one open folder. Its fields do not change after Open, except those of Read's
// goroutine, which say so.
type source struct {
	name, dir   string
	files       []string
	loop, paced bool
	info        camera.Info
	interval    time.Duration
	clock       pace.Clock
	closed      chan struct{}
	closeOnce   sync.Once

	pool *camera.Pool // of the latest size; Read's
	next int          // counts over loops; Read's
}

// Open opens the folder of a dir: address: its .png, .jpg, .jpeg, .bmp and .webp files, in
// lexical order of their names (so that 10.png comes before 9.png). Subfolders and other
// files are passed over. Want is ignored. The options are
//
//	pace  0 (default): as fast as they are read, and none is lost;
//	      1: fps images per second, as from a live camera
//	fps   images per second, 1 by default; without pace it only spaces PTS
//	loop  1: start over at the end; PTS keeps rising
//
// Frames may differ in size, up to [camera.MaxSide]; Info tells the size of the first. Name is
// the file's base name without extension, so two files that differ in the extension only are
// refused. An image that cannot be decoded is an error of Read that names it.
func Open(ctx context.Context, uri camera.URI, _ camera.Want) (camera.Source, error) {
	name := uri.Redacted()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	files, err := list(name, uri.Path)
	if err != nil {
		return nil, err
	}
	fps := uri.FPS()
	if fps == 0 {
		fps = defaultFPS
	}
	s := &source{
		name: name, dir: uri.Path, files: files,
		loop: uri.Bool("loop", false), paced: uri.Bool("pace", false),
		interval: time.Duration(float64(time.Second) / fps), closed: make(chan struct{}),
	}
	first, err := s.decode(files[0])
	if err != nil {
		return nil, camera.Permanent(err)
	}
	s.info = camera.Info{Name: name, Width: first.Width, Height: first.Height, FPS: fps, Live: s.paced}
	first.Release()
	return s, nil
}

func list(name, dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		if stat, serr := os.Stat(dir); serr == nil && !stat.IsDir() {
			return nil, camera.Permanent(fmt.Errorf("open %s: is no folder; for a video write file:%s", name, dir))
		}
		return nil, camera.Permanent(fmt.Errorf("open %s: %w", name, err))
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(e.Name()))) {
			files = append(files, e.Name())
		}
	}
	if len(files) == 0 {
		return nil, camera.Permanent(fmt.Errorf("open %s: folder holds no images (%s)", name, strings.Join(extensions, " ")))
	}
	return files, checkUnique(name, files)
}

// checkUnique refuses files whose frames would have the same name, since results that are
// named after frames would overwrite each other.
func checkUnique(name string, files []string) error {
	byFrame := make(map[string]string, len(files))
	for _, f := range files {
		frame := frameName(f)
		if other, taken := byFrame[frame]; taken {
			return camera.Permanent(fmt.Errorf("open %s: %s and %s have the same name but for the extension; rename or move one",
				name, other, f))
		}
		byFrame[frame] = f
	}
	return nil
}

func frameName(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) }

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Read implements [camera.Source].
func (s *source) Read(ctx context.Context) (*camera.Frame, error) {
	if err := s.ended(ctx); err != nil {
		return nil, err
	}
	file := s.files[s.next%len(s.files)]
	pts := time.Duration(s.next) * s.interval
	f, err := s.decode(file)
	if err != nil {
		return nil, err
	}
	if s.paced {
		if err := s.clock.Wait(ctx, s.closed, pts); err != nil {
			f.Release()
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
	}
	s.next++
	f.Captured, f.PTS = time.Now(), pts
	f.Name = frameName(file)
	return f, nil
}

// ended says why there is no next image, if so.
func (s *source) ended(ctx context.Context) error {
	select {
	case <-s.closed:
		return fmt.Errorf("read %s: %w", s.name, fs.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	if s.next >= len(s.files) && !s.loop {
		return io.EOF
	}
	return nil
}

// decode reads one image into a frame.
func (s *source) decode(file string) (*camera.Frame, error) {
	path := filepath.Join(s.dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("read %s: image %s is empty; delete or replace it", s.name, path)
	}
	if err := picture.Check(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("read %s: image %s cannot be decoded: %w; delete or replace it", s.name, path, err)
	}
	m, err := gocv.IMDecode(data, gocv.IMReadColor)
	if err != nil {
		return nil, fmt.Errorf("read %s: decode image %s: %w", s.name, path, err)
	}
	f, err := s.toFrame(m, path)
	return f, errors.Join(err, m.Close())
}

func (s *source) toFrame(m gocv.Mat, path string) (*camera.Frame, error) {
	if m.Empty() || m.Type() != gocv.MatTypeCV8UC3 {
		return nil, fmt.Errorf("read %s: image %s cannot be decoded; delete or replace it", s.name, path)
	}
	data, err := m.DataPtrUint8()
	if err != nil {
		return nil, fmt.Errorf("read %s: image %s: %w", s.name, path, err)
	}
	var f *camera.Frame
	if s.pool != nil {
		f = s.pool.Get()
	}
	if f == nil || f.Width != m.Cols() || f.Height != m.Rows() {
		s.pool = camera.NewPool(m.Cols(), m.Rows())
		f = s.pool.Get()
	}
	copy(f.Pix, data)
	return f, nil
}

// Close implements [camera.Source].
func (s *source) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	return nil
}
