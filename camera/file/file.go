// Package file plays video files as a camera, through OpenCV and FFmpeg.
package file

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/camera/internal/pace"
	"github.com/robustnet-edge/robustnet/camera/internal/picture"
)

// fallbackFPS is used for files that name no rate.
const fallbackFPS = 25

// source is one open video file.
type source struct {
	name, path  string
	loop, paced bool
	info        camera.Info
	announced   int // frames according to the file, 0 if it does not say
	fps         float64
	clock       pace.Clock
	closed      chan struct{}
	closeOnce   sync.Once

	mu      sync.Mutex // guards what follows; held in calls to OpenCV
	capture *gocv.VideoCapture
	pool    *camera.Pool
	headers cvmat.Frames
	scratch gocv.Mat // the picture as stored, where it must be turned
	turn    turn
	pending *camera.Frame // decoded by Open
	index   int           // frames decoded in this pass
	first   time.Duration // the file's time of the first frame of this pass
	base    time.Duration // PTS at which this pass began
	last    time.Duration // PTS of the newest frame
}

// Open opens the video file of a file: address. Want is ignored: a file has the size and
// rate it has. The options are
//
//	pace  1 (default): frames come at the file's own rate, as from a live camera;
//	      0: as fast as they are read, and none is lost
//	loop  1: start over at the end; PTS keeps rising
//
// PTS counts from the first frame, by the time stamps of the container; where OpenCV has
// none, as for the last few frames of some files, the nominal rate continues. Quarter turns
// stored in MP4 and QuickTime files are applied. At the end of a file that lacks frames which its
// header announces, Read reports [camera.ErrTruncated].
//
// The picture size must not change within the file, as it can where recordings are strung
// together: OpenCV 4.6 does not tell, and then repeats the last picture or delivers damaged
// ones. Convert such a file first: ffmpeg -i clip.ts -vf scale=1280:720 clip.mp4.
func Open(ctx context.Context, uri camera.URI, _ camera.Want) (camera.Source, error) {
	name := uri.Redacted()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	// An absolute path cannot be mistaken for a protocol of FFmpeg.
	path, err := filepath.Abs(uri.Path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if err := checkRegular(name, path); err != nil {
		return nil, err
	}
	s := &source{
		name: name, path: path, loop: uri.Bool("loop", false), paced: uri.Bool("pace", true),
		closed: make(chan struct{}), scratch: gocv.NewMat(),
	}
	if err := s.begin(); err != nil {
		return nil, joinClose(err, s)
	}
	return s, nil
}

func joinClose(err error, c io.Closer) error {
	if cerr := c.Close(); cerr != nil {
		return fmt.Errorf("%w (and closing failed: %w)", err, cerr)
	}
	return err
}

// checkRegular refuses what OpenCV would block on or misread.
func checkRegular(name, path string) error {
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return camera.Permanent(fmt.Errorf("open %s: %w", name, err))
	case stat.IsDir():
		return camera.Permanent(fmt.Errorf("open %s: is a folder; for a folder of images write dir:%s", name, path))
	case !stat.Mode().IsRegular():
		return camera.Permanent(fmt.Errorf("open %s: is no regular file (%v)", name, stat.Mode().Type()))
	case stat.Size() == 0:
		return camera.Permanent(fmt.Errorf("open %s: file is empty", name))
	}
	return nil
}

// begin opens the file and decodes the first frame, since only that proves that the file
// is a video.
func (s *source) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.rewind(); err != nil {
		return err
	}
	if !s.capture.Read(&s.scratch) || s.scratch.Empty() {
		return camera.Permanent(fmt.Errorf("open %s: holds no picture that can be decoded", s.name))
	}
	if s.scratch.Type() != gocv.MatTypeCV8UC3 {
		return camera.Permanent(fmt.Errorf("open %s: decodes to OpenCV type %d, not to 8-bit colour", s.name, s.scratch.Type()))
	}
	w, h := s.scratch.Cols(), s.scratch.Rows()
	if s.turn = storedTurn(s.path); s.turn.swapsSides() {
		w, h = h, w
	}
	s.fps = s.capture.Get(gocv.VideoCaptureFPS)
	if !(s.fps > 0 && s.fps < 1000) {
		s.fps = fallbackFPS
	}
	s.announced = max(0, int(min(s.capture.Get(gocv.VideoCaptureFrameCount), 1<<31)))
	s.pool = camera.NewPool(w, h)
	s.info = camera.Info{
		Name: s.name, Width: w, Height: h, FPS: s.fps, Live: s.paced, Format: s.capture.CodecString(),
	}
	f := s.pool.Get()
	if err := s.place(f); err != nil {
		f.Release()
		return err
	}
	s.stamp(f)
	s.pending = f
	return nil
}

// rewind opens the file anew. Seeking is not used: in some files it lands beside the
// first frame.
func (s *source) rewind() error {
	if s.capture != nil {
		if err := s.capture.Close(); err != nil {
			return fmt.Errorf("rewind %s: %w", s.name, err)
		}
		s.capture = nil
	}
	capture, err := gocv.VideoCaptureFileWithAPI(s.path, gocv.VideoCaptureFFmpeg)
	s.capture = capture // to be closed even if it did not open
	if err != nil || !capture.IsOpened() {
		return camera.Permanent(fmt.Errorf("open %s: is not a video that FFmpeg can read, or its end is missing; try ffprobe on it", s.name))
	}
	// Before the first picture, since OpenCV ends the program when it has no memory for one.
	w, h := capture.Get(gocv.VideoCaptureFrameWidth), capture.Get(gocv.VideoCaptureFrameHeight)
	if err := picture.CheckSize(int(w), int(h)); err != nil {
		return camera.Permanent(fmt.Errorf("open %s: it cannot be decoded: %w", s.name, err))
	}
	// OpenCV 4.6 with FFmpeg 5 turns pictures the wrong way round, so storedTurn does it.
	const orientationAuto gocv.VideoCaptureProperties = 49 // CAP_PROP_ORIENTATION_AUTO
	capture.Set(orientationAuto, 0)
	s.index = 0
	return nil
}

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Read implements [camera.Source].
func (s *source) Read(ctx context.Context) (*camera.Frame, error) {
	f, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	if s.paced {
		if err := s.clock.Wait(ctx, s.closed, f.PTS); err != nil {
			f.Release()
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
	}
	f.Captured = time.Now()
	return f, nil
}

func (s *source) next(ctx context.Context) (*camera.Frame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.capture == nil {
		return nil, fmt.Errorf("read %s: %w", s.name, fs.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	if f := s.pending; f != nil {
		s.pending = nil
		return f, nil
	}
	f := s.pool.Get()
	ok, err := s.decode(f)
	if err == nil && !ok {
		if err = s.end(); err == nil { // looping
			if ok, err = s.decode(f); err == nil && !ok {
				err = fmt.Errorf("read %s: holds no picture any more", s.name)
			}
		}
	}
	if err != nil {
		f.Release()
		return nil, err
	}
	s.stamp(f)
	return f, nil
}

// decode fills f with the next picture and reports false at the end of the file.
func (s *source) decode(f *camera.Frame) (bool, error) {
	if s.turn != upright {
		if !s.capture.Read(&s.scratch) {
			return false, nil
		}
		return true, s.place(f)
	}
	m, err := s.headers.Mat(f)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", s.name, err)
	}
	if !s.capture.Read(&m) {
		s.headers.Close() // OpenCV emptied the header
		return false, nil
	}
	return true, s.checkPlaced(m, f)
}

// place puts the stored picture upright into f.
func (s *source) place(f *camera.Frame) error {
	m, err := s.headers.Mat(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	if s.turn == upright {
		s.scratch.CopyTo(&m)
	} else {
		gocv.Rotate(s.scratch, &m, s.turn.flag())
	}
	return s.checkPlaced(m, f)
}

// checkPlaced finds out whether OpenCV wrote into f. It allocates elsewhere when the size
// is another.
func (s *source) checkPlaced(m gocv.Mat, f *camera.Frame) error {
	data, err := m.DataPtrUint8()
	if err == nil && len(data) == len(f.Pix) && &data[0] == &f.Pix[0] {
		return nil
	}
	w, h := m.Cols(), m.Rows()
	s.headers.Close()
	return fmt.Errorf("read %s: size changes from %d×%d to %d×%d after %d frames", s.name, f.Width, f.Height, w, h, s.index)
}

// stamp sets the time of the frame that was just decoded.
func (s *source) stamp(f *camera.Frame) {
	pos := time.Duration(s.capture.Get(gocv.VideoCapturePosMsec) * float64(time.Millisecond))
	if s.index == 0 {
		s.first = pos
	}
	pts := s.base + pos - s.first
	if s.index > 0 && pts <= s.last { // no usable time stamps
		pts = s.last + s.interval()
	}
	s.index++
	s.last = pts
	f.PTS = pts
}

func (s *source) interval() time.Duration {
	return time.Duration(float64(time.Second) / s.fps)
}

// end starts the next pass of a looping file, and otherwise returns how the file ended.
func (s *source) end() error {
	if err := s.checkComplete(); err != nil {
		return err
	}
	if !s.loop {
		return io.EOF
	}
	s.base = s.last + s.interval()
	return s.rewind()
}

// Close implements [camera.Source].
func (s *source) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.capture == nil {
		return nil
	}
	if s.pending != nil {
		s.pending.Release()
		s.pending = nil
	}
	s.headers.Close()
	err := s.capture.Close()
	s.capture = nil
	if serr := s.scratch.Close(); err == nil {
		err = serr
	}
	if err != nil {
		return fmt.Errorf("close %s: %w", s.name, err)
	}
	return nil
}
