package camera

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// Reason says in one word why a camera is opened again. The set is closed, so that it
// can label a metric.
type Reason string

// The reasons.
const (
	ReasonEOF     Reason = "eof"     // the camera ended the stream
	ReasonStalled Reason = "stalled" // no frames within the deadline
	ReasonGone    Reason = "gone"    // unplugged, or not there
	ReasonBusy    Reason = "busy"    // another program has it
	ReasonDenied  Reason = "denied"  // no permission, or wrong password
	ReasonError   Reason = "error"   // anything else
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{ReasonEOF, ReasonStalled, ReasonGone, ReasonBusy, ReasonDenied, ReasonError}
}

// reasonOf judges the error of a source. Sources tell what happened by wrapping
// [ErrStalled], io.ErrUnexpectedEOF, or the error numbers that the kernel would use.
func reasonOf(err error) Reason {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(ErrStalled):
		return ReasonStalled
	case is(syscall.ENODEV, syscall.ENXIO, fs.ErrNotExist):
		return ReasonGone
	case is(syscall.EBUSY):
		return ReasonBusy
	case is(fs.ErrPermission):
		return ReasonDenied
	case is(io.EOF, io.ErrUnexpectedEOF):
		return ReasonEOF
	}
	return ReasonError
}
