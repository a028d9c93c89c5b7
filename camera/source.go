package camera

import (
	"context"
	"errors"
)

// Errors that callers tell apart.
var (
	// ErrStalled is reported when an open camera delivered nothing within the deadline.
	ErrStalled = errors.New("camera delivers no frames")
	// ErrTruncated is reported by a file that ends before its own header says so.
	ErrTruncated = errors.New("file is truncated")
)

// Info describes an open source.
type Info struct {
	// Name is fit for a log line and holds no password.
	Name          string
	Width, Height int
	// FPS is the nominal rate in frames per second; 0 when the source cannot tell.
	FPS float64
	// Live says that frames arrive whether or not anyone is ready, so that slow
	// consumers must skip some. The others wait, and every frame is processed.
	Live bool
	// Format names what the camera delivers before conversion, e.g. "MJPEG", "YUYV",
	// "H264"; empty when that means nothing.
	Format string
}

// Source is an open camera.
type Source interface {
	// Info is constant while the source is open.
	Info() Info
	// Read blocks for the next frame and passes it to the caller. It returns io.EOF at
	// the end of a finite source; after any error the source must be closed. Only one
	// goroutine may read. Read sets every field but Seq, which the [Keeper] owns; pictures
	// that the source gave up are told in the Skipped of the frame after them.
	Read(ctx context.Context) (*Frame, error)
	// Close frees the source. It is idempotent, may be called while Read blocks, and
	// makes that Read return soon.
	Close() error
}

// Want is what the program would like a camera to deliver. Zero values leave the choice
// to the source; a source that cannot comply comes as near as it can.
type Want struct {
	Width, Height int
	FPS           float64
}

// Opener opens sources of one scheme. It blocks until the source is ready to be read,
// or ctx ends. An error that retrying cannot mend is marked with
// [Permanent].
type Opener func(ctx context.Context, uri URI, want Want) (Source, error)

// ErrPermanent marks a failure that will not mend itself: a file that is not a video, a
// folder without images, an option that the source does not have. [Permanent] makes one.
var ErrPermanent = errors.New("permanent failure of the camera")

// Permanent marks err with [ErrPermanent] and leaves its text alone, which is for people.
func Permanent(err error) error { return permanent{err} }

type permanent struct{ error }

func (p permanent) Unwrap() error        { return p.error }
func (p permanent) Is(target error) bool { return target == ErrPermanent }
