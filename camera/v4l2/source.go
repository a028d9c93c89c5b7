package v4l2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/camera"
)

// maxDamaged is how many damaged pictures in a row are skipped. USB loses some now and then.
const maxDamaged = 10

// source is one streaming camera.
type source struct {
	info   camera.Info
	opened time.Time
	clock  func() int64 // CLOCK_MONOTONIC in nanoseconds

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error

	// What follows belongs to Read, and to Close once no Read is left.
	reading  sync.Mutex
	stream   *stream // nil once closed
	pictures *pictures
	count    counter
	damaged  int   // pictures in a row
	last     int64 // stamp of the frame before
	followed <-chan struct{}
	unfollow func() bool
}

func newSource(s *stream, p *pictures, info camera.Info) *source {
	return &source{
		info: info, stream: s, pictures: p, opened: time.Now(), clock: monotonic, closing: make(chan struct{}),
		unfollow: func() bool { return true },
	}
}

func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // fails for unknown clocks only
	return now.Nano()
}

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Read implements [camera.Source]. A reader that comes late gets the newest picture that the
// driver has. The buffer goes back to the driver when the picture has been copied out of it.
func (s *source) Read(ctx context.Context) (*camera.Frame, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.follow(ctx)
	for {
		if err := s.ended(ctx); err != nil {
			return nil, err
		}
		b, err := s.newest()
		var f *camera.Frame
		switch {
		case err == nil:
			f, err = s.take(b)
		case errors.Is(err, errEmpty):
			err = s.wait()
		}
		if err != nil {
			return nil, explain("read "+s.info.Name, s.info.Name, err)
		}
		if f != nil {
			return f, nil
		}
	}
}

// follow has the end of ctx wake a waiting Read. A context costs something only when it is new.
func (s *source) follow(ctx context.Context) {
	if done := ctx.Done(); done != s.followed && s.stream != nil {
		s.unfollow()
		s.followed, s.unfollow = done, context.AfterFunc(ctx, s.stream.waker.wake)
	}
}

func (s *source) ended(ctx context.Context) error {
	select {
	case <-s.closing:
		return fmt.Errorf("read %s: %w", s.info.Name, fs.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", s.info.Name, err)
	}
	return nil
}

func (s *source) wait() error {
	if _, _, err := s.stream.wait(-1); err != nil {
		return err
	}
	if !s.stream.failing() {
		return nil
	}
	// The error itself comes with the buffer; a driver that has neither would be asked for ever.
	b, err := s.stream.dequeue()
	if errors.Is(err, errEmpty) {
		return fmt.Errorf("poll: driver has an error that it does not tell: %w", syscall.EIO)
	}
	if err != nil {
		return err
	}
	s.count.skipped++
	return s.stream.queue(b.index)
}

// newest takes the newest good picture that the driver has ready, and gives the others back.
func (s *source) newest() (filled, error) {
	var best filled
	found := false
	for range maxBuffers {
		next, err := s.stream.dequeue()
		switch {
		case err != nil && found:
			return best, nil // if it is not just errEmpty, it comes again
		case err != nil:
			return filled{}, err
		case next.damaged:
			if err := s.giveUp(next, errMarked); err != nil {
				return filled{}, err
			}
			continue
		case found:
			s.count.skipped++
			if err := s.stream.queue(best.index); err != nil {
				return filled{}, err
			}
		}
		best, found = next, true
	}
	if !found {
		return filled{}, errEmpty
	}
	return best, nil
}

var errMarked = fmt.Errorf("%w: the driver marks it so, or it is empty", errDamaged)

// giveUp gives a damaged picture back. Too many of them in a row are an error.
func (s *source) giveUp(b filled, why error) error {
	s.count.skipped++
	if s.damaged++; s.damaged > maxDamaged {
		return fmt.Errorf("%d pictures in a row: %w; try another cable, USB port or a smaller mode", s.damaged, why)
	}
	return s.stream.queue(b.index)
}

// take makes a frame of a buffer, and gives the buffer back once the picture is copied. It
// returns nil if the picture is damaged and others may follow.
func (s *source) take(b filled) (*camera.Frame, error) {
	captured := s.captured(b, time.Now())
	f, err := s.pictures.frame(b.bytes)
	if errors.Is(err, errDamaged) {
		return nil, s.giveUp(b, err)
	}
	if queueErr := s.stream.queue(b.index); err == nil {
		err = queueErr
	}
	if err != nil {
		if f != nil {
			f.Release()
		}
		return nil, err
	}
	s.damaged = 0
	f.Captured, f.Skipped = captured, s.count.deliver(b.sequence)
	f.PTS = max(0, captured.Sub(s.opened))
	return f, nil
}

// maxAhead is how far the stamp of a driver that reckons it from the camera's own clock may lie
// ahead of this machine's.
const maxAhead = 20 * time.Millisecond

// captured is when the picture was taken: by the driver's stamp if it is of the monotonic clock,
// after the one before and neither from before the stream nor from the future; else now.
func (s *source) captured(b filled, now time.Time) time.Time {
	if !b.monotonic || b.stamp <= s.last {
		return now
	}
	age := time.Duration(s.clock() - b.stamp)
	if age < -maxAhead || now.Add(-age).Before(s.opened.Add(-time.Second)) {
		return now
	}
	s.last = b.stamp
	return now.Add(-max(age, 0))
}

// counter finds out how many pictures were lost before each frame.
type counter struct {
	last      uint32 // sequence number of the frame before
	delivered bool   // there was one
	skipped   uint64 // pictures since that were seen and given up
}

// maxGap is more than any stall makes: a greater step means that the driver began to count anew.
const maxGap = 10_000

func (c *counter) deliver(sequence uint32) uint64 {
	skipped := c.skipped
	if gap := sequence - c.last - 1; c.delivered && gap < maxGap { // the number wraps around
		skipped = max(skipped, uint64(gap))
	}
	*c = counter{last: sequence, delivered: true}
	return skipped
}

// Close implements [camera.Source]. It wakes a waiting Read at once.
func (s *source) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.stream.waker.wake()
		s.reading.Lock()
		defer s.reading.Unlock()
		s.unfollow()
		err := errors.Join(s.stream.stop(), s.stream.close())
		s.pictures.close()
		s.stream = nil
		if err != nil {
			s.closeErr = fmt.Errorf("close %s: %w", s.info.Name, err)
		}
	})
	return s.closeErr
}
