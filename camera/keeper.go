package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Defaults of [Keeper].
const (
	DefaultNoFrame    = 5 * time.Second
	DefaultRetryFirst = 500 * time.Millisecond
	DefaultRetryMax   = 15 * time.Second
)

const (
	// healthyAfter is how long frames must have come for a fault to count as the first
	// one again.
	healthyAfter = 10 * time.Second
	// stuckAfter is how long a source may take to return after it was told to. It stays
	// below the two seconds within which the daemon stops.
	stuckAfter = time.Second
)

// ErrStuck is reported by [Keeper.Run] when a source ignored both its context and Close,
// as a driver can that hangs in a system call. One goroutine is then left behind in that
// call: nothing but the end of the process frees it.
var ErrStuck = errors.New("camera driver does not return")

// errFinished sets the end of a finite source apart from an io.EOF while opening, which
// is a fault.
var errFinished = errors.New("source has ended")

// Observer is told what happens to a camera, for metrics. Nil functions are skipped. The
// others are called one at a time from the reading goroutine and must not block.
type Observer struct {
	Opened func(Info)
	// Frame is called for every frame that the camera delivered, Dropped when an older
	// frame gave way to it.
	Frame   func()
	Dropped func()
	// Reopening is called when the camera was lost or could not be opened, with the wait
	// until the next attempt.
	Reopening func(reason Reason, wait time.Duration)
}

// Keeper keeps one camera alive: it opens it, passes its frames on, and opens it again
// after every fault.
type Keeper struct {
	// Open opens the camera. Its context ends when the camera is open, or after NoFrame.
	Open func(context.Context) (Source, error)
	// Slot receives the frames: the newest replaces an older one if the source is live,
	// and waits for room if it is not.
	Slot *Slot[*Frame]

	// NoFrame is how long opening may take, and how long an open source may deliver
	// nothing before it is closed with [ErrStalled]. A network camera begins with a key
	// frame, so this must be longer than the interval between those. Zero means
	// [DefaultNoFrame].
	NoFrame time.Duration
	// RetryFirst and RetryMax bound the wait between attempts, which doubles from one to
	// the other; each wait is shortened at random by up to a half. Zero means
	// [DefaultRetryFirst] and [DefaultRetryMax].
	RetryFirst, RetryMax time.Duration
	// Wake ends the pause between two attempts when it yields, because something has changed
	// that may let the next one succeed, such as a camera that was plugged in; the pauses
	// after that begin at RetryFirst again. A channel with room for one value loses no
	// change, and two for one do no harm. Nil never wakes.
	Wake <-chan struct{}

	Log      zerolog.Logger
	Observer Observer
}

// Run feeds the slot until ctx ends or a finite source does, and then returns nil. It
// returns an error if the camera cannot be opened for a reason that will not mend
// ([ErrPermanent], counted only until the camera has been open once), if a source that is
// not live fails, since opened again it would begin anew, if a file is truncated
// ([ErrTruncated]), and if a source does not come back from a call ([ErrStuck]). The frames
// before the fault have been passed on then. All other faults are logged and retried for
// ever.
//
// Frames are numbered from 1 over all reopenings. When Run returns, the slot is closed
// and, save for ErrStuck, the source is closed and no goroutine is left.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.Slot.Close()
	r := run{Keeper: k, noFrame: k.NoFrame, wake: k.Wake, retry: backoff{first: k.RetryFirst, max: k.RetryMax}}
	if r.noFrame <= 0 {
		r.noFrame = DefaultNoFrame
	}
	if r.retry.first <= 0 {
		r.retry.first = DefaultRetryFirst
	}
	if r.retry.max <= 0 {
		r.retry.max = DefaultRetryMax
	}
	for {
		err := r.attempt(ctx)
		switch {
		case errors.Is(err, ErrStuck):
			return err
		case ctx.Err() != nil, errors.Is(err, errFinished), errors.Is(err, ErrSlotClosed):
			return nil
		case r.recorded, errors.Is(err, ErrTruncated), errors.Is(err, ErrPermanent) && !r.opened:
			return err
		}
		if !r.pause(ctx, err) {
			return nil
		}
	}
}

// run is the state of one Run. Its fields belong to the goroutine of the attempt in
// progress and, between attempts, to Run.
type run struct {
	*Keeper
	noFrame time.Duration
	retry   backoff
	wake    <-chan struct{}
	seq     uint64
	opened  bool // at least once
	// Of the latest attempt: whether it opened a source that is not live, and the time from
	// opening to the last frame.
	recorded bool
	healthy  time.Duration

	lastFault string
	lostAt    time.Time // zero while the camera is well
}

// attempt runs one session and waits for it, but not for ever once ctx has ended.
func (r *run) attempt(ctx context.Context) error {
	result := make(chan error, 1)
	go func() { result <- r.session(ctx) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(stuckAfter)
	defer grace.Stop()
	select {
	case err := <-result:
		return err
	case <-grace.C:
		return fmt.Errorf("close camera: %w from a call within %v; end the process to free it", ErrStuck, stuckAfter)
	}
}

// session opens the camera and reads it until an error, which it returns.
func (r *run) session(ctx context.Context) error {
	r.recorded, r.healthy = false, 0
	src, err := r.open(ctx)
	if err != nil {
		return err
	}
	info := src.Info()
	r.recorded = !info.Live
	var begun atomic.Bool
	closed := make(chan struct{})
	var stuck *time.Timer // set before closed is
	closeSource := func() {
		if begun.CompareAndSwap(false, true) {
			defer close(closed)
			stuck = time.AfterFunc(stuckAfter, func() { r.warnStuck(ctx) })
			if err := src.Close(); err != nil {
				r.Log.Debug().Err(err).Str("camera", info.Name).Msg("camera closed with an error")
			}
		}
	}
	defer func() {
		closeSource()
		<-closed // another goroutine may have begun
		stuck.Stop()
	}()
	// Sources should heed the context of Read; closing also ends those that cannot.
	defer context.AfterFunc(ctx, closeSource)()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.noteOpened(info)
	return r.pump(ctx, src, closeSource)
}

func (r *run) open(ctx context.Context) (Source, error) {
	openCtx, cancel := context.WithTimeout(ctx, r.noFrame)
	defer cancel()
	// A driver that hangs can only be reported: a second attempt would find it busy.
	stuck := time.AfterFunc(r.noFrame+stuckAfter, func() { r.warnStuck(ctx) })
	defer stuck.Stop()
	src, err := r.Open(openCtx)
	if err != nil && openCtx.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("not open after %v: %w: %w", r.noFrame, ErrStalled, err)
	}
	return src, err
}

// pump passes frames on until an error. A source that delivers nothing within the
// deadline is closed, which makes its Read return.
func (r *run) pump(ctx context.Context, src Source, closeSource func()) error {
	info, start := src.Info(), time.Now()
	var stalled atomic.Bool
	watchdog := time.AfterFunc(r.noFrame, func() {
		stalled.Store(true)
		closeSource()
	})
	defer watchdog.Stop()
	for !stalled.Load() {
		f, err := src.Read(ctx)
		watchdog.Stop() // time spent in a full slot is not the camera's fault
		switch {
		case err == nil:
		case stalled.Load() && ctx.Err() == nil:
			continue // the error says no more than that the source was closed
		case errors.Is(err, io.EOF):
			return errFinished
		default:
			return err
		}
		r.healthy = time.Since(start)
		if err := r.pass(ctx, f, info.Live); err != nil {
			return err
		}
		watchdog.Reset(r.noFrame)
	}
	return fmt.Errorf("read %s: %w within %v; look after its cable, its power and what else is on its bus or network", info.Name, ErrStalled, r.noFrame)
}

// pass numbers a frame and puts it in the slot.
func (r *run) pass(ctx context.Context, f *Frame, live bool) error {
	r.seq++
	f.Seq = r.seq
	call(r.Observer.Frame)
	if !live {
		return r.Slot.PutWait(ctx, f)
	}
	if r.Slot.Put(f) {
		call(r.Observer.Dropped)
	}
	return nil
}

func (r *run) noteOpened(info Info) {
	event := r.Log.Info().Str("camera", info.Name).Int("width", info.Width).Int("height", info.Height)
	if info.FPS > 0 {
		event = event.Float64("fps", info.FPS)
	}
	if info.Format != "" {
		event = event.Str("format", info.Format)
	}
	if r.lostAt.IsZero() || !r.opened {
		event.Msg("camera opened")
	} else {
		event.Stringer("after", time.Since(r.lostAt).Round(time.Millisecond)).Msg("camera opened again")
	}
	r.opened, r.lostAt, r.lastFault = true, time.Time{}, ""
	if r.Observer.Opened != nil {
		r.Observer.Opened(info)
	}
}

// warnStuck tells of a call that hangs. Once ctx has ended, Run itself reports it.
func (r *run) warnStuck(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	r.Log.Error().Err(ErrStuck).Msg("camera was told to close and has not; unplug it or restart the program")
}

// pause waits before the next attempt and reports whether there is to be one.
func (r *run) pause(ctx context.Context, err error) bool {
	if r.healthy >= healthyAfter {
		r.retry.attempts = 0
	}
	wait := r.retry.next()
	reason := reasonOf(err)
	r.noteFault(err, reason, wait)
	if r.Observer.Reopening != nil {
		r.Observer.Reopening(reason, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case _, open := <-r.wake:
			if open {
				r.retry.attempts = 0
				return true
			}
			r.wake = nil // or its end would wake for ever
		case <-ctx.Done():
			return false
		}
	}
}

// noteFault logs a fault. While the same one repeats, a warning comes at attempts 1, 2,
// 4, 8 and so on, and the others are for debugging.
func (r *run) noteFault(err error, reason Reason, wait time.Duration) {
	n := r.retry.attempts
	level := zerolog.WarnLevel
	if err.Error() == r.lastFault && n&(n-1) != 0 {
		level = zerolog.DebugLevel
	}
	r.lastFault = err.Error()
	if r.lostAt.IsZero() {
		r.lostAt = time.Now()
	}
	r.Log.WithLevel(level).Err(err).Str("reason", string(reason)).Int("attempt", n).
		Stringer("retry_in", wait.Round(time.Millisecond)).Msg("camera lost")
}

// backoff doubles a wait from first to max, jittered so that several programs on one bus
// or network do not retry in step.
type backoff struct {
	first, max time.Duration
	attempts   int
}

func (b *backoff) next() time.Duration {
	wait := b.first
	for range b.attempts {
		if wait >= b.max {
			break
		}
		wait *= 2
	}
	b.attempts++
	wait = max(min(wait, b.max), 1)
	return wait - rand.N(wait/2+1)
}

func call(f func()) {
	if f != nil {
		f()
	}
}
