package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource delivers frames at an interval, limit of them, and then ends with err or,
// if that is nil, hangs until it is closed.
type fakeSource struct {
	live     bool
	interval time.Duration
	limit    int
	err      error

	pool   *Pool
	sent   int
	closed chan struct{}
	closes int
}

func newFake(live bool, interval time.Duration, limit int, err error) *fakeSource {
	return &fakeSource{live: live, interval: interval, limit: limit, err: err, pool: NewPool(2, 2), closed: make(chan struct{})}
}

func (s *fakeSource) Info() Info { return Info{Name: "fake", Width: 2, Height: 2, Live: s.live} }

func (s *fakeSource) Read(ctx context.Context) (*Frame, error) {
	var tick <-chan time.Time
	if s.sent < s.limit {
		tick = time.After(s.interval)
	} else if s.err != nil {
		return nil, s.err
	}
	select {
	case <-tick:
		s.sent++
		return s.pool.Get(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closed:
		return nil, errors.New("source was closed")
	}
}

func (s *fakeSource) Close() error {
	if s.closes++; s.closes == 1 {
		close(s.closed)
	}
	return nil
}

// trial runs a keeper in a bubble and records what it reports.
type trial struct {
	keeper  Keeper
	reasons []Reason
	waits   []time.Duration
	opened  int
	frames  int
	dropped int
	log     bytes.Buffer
}

func newTrial(open func(context.Context) (Source, error)) *trial {
	tr := &trial{}
	tr.keeper = Keeper{
		Open: open, Slot: NewSlot[*Frame](), NoFrame: 2 * time.Second,
		RetryFirst: time.Second, RetryMax: 8 * time.Second, Log: zerolog.New(zerolog.SyncWriter(&tr.log)),
		Observer: Observer{
			Opened:  func(Info) { tr.opened++ },
			Frame:   func() { tr.frames++ },
			Dropped: func() { tr.dropped++ },
			Reopening: func(r Reason, wait time.Duration) {
				tr.reasons = append(tr.reasons, r)
				tr.waits = append(tr.waits, wait)
			},
		},
	}
	return tr
}

func (tr *trial) runFor(t *testing.T, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return tr.keeper.Run(ctx)
}

func TestKeeperBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := 0
		tr := newTrial(func(context.Context) (Source, error) {
			opens++
			return nil, fmt.Errorf("open fake: %w", syscall.ENODEV)
		})
		if err := tr.runFor(t, time.Minute); err != nil {
			t.Errorf("Run = %v, want nil when its context ends", err)
		}
		// Without jitter: 1+2+4 s, then every 8 s, makes 10 attempts; at the shortest, 17.
		if opens < 10 || opens > 18 {
			t.Errorf("opens in a minute = %d, want 10..18", opens)
		}
		full := []time.Duration{1, 2, 4, 8, 8, 8, 8, 8}
		distinct := map[time.Duration]bool{}
		for i, want := range full {
			if got := tr.waits[i]; got < want*time.Second/2 || got > want*time.Second {
				t.Errorf("wait %d = %v, want %d s less up to a half", i, got, want)
			}
			distinct[tr.waits[i]] = true
		}
		if len(distinct) < 5 {
			t.Errorf("waits %v are not jittered", tr.waits[:len(full)])
		}
		if tr.reasons[0] != ReasonGone {
			t.Errorf("reason = %q, want gone", tr.reasons[0])
		}
		if n := strings.Count(tr.log.String(), `"level":"warn"`); n < 4 || n > 5 {
			t.Errorf("%d warnings for %d equal faults, want one each at 1, 2, 4, 8, 16:\n%s", n, opens, &tr.log)
		}
	})
}

// A change ends the pause at once, and short pauses follow; the end of the channel is no change.
func TestKeeperWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start, wake := time.Now(), make(chan struct{}, 1)
		tr := newTrial(func(context.Context) (Source, error) {
			at = append(at, time.Since(start))
			return nil, fmt.Errorf("open fake: %w", syscall.ENODEV)
		})
		tr.keeper.Wake, tr.keeper.RetryMax = wake, time.Minute
		go func() {
			time.Sleep(40 * time.Second) // of the bubble's clock
			wake <- struct{}{}
			time.Sleep(20 * time.Second)
			close(wake)
		}()
		if err := tr.runFor(t, 80*time.Second); err != nil {
			t.Errorf("Run = %v, want nil when its context ends", err)
		}
		woken := 0
		for woken < len(at) && at[woken] != 40*time.Second {
			woken++
		}
		if woken == len(at) {
			t.Fatalf("attempts at %v, none when it was woken after 40 s", at)
		}
		if wait := tr.waits[woken]; wait > time.Second {
			t.Errorf("pause after that = %v, want one second or less", wait)
		}
		if len(at) > 25 {
			t.Errorf("%d attempts in 80 s: the closed channel woke it again and again", len(at))
		}
	})
}

func TestKeeperHealthyRunResetsBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		frames  int // 10 per second
		minLast time.Duration
		maxLast time.Duration
	}{
		"healthy": {frames: 150, minLast: 500 * time.Millisecond, maxLast: time.Second},
		"flaky":   {frames: 10, minLast: 4 * time.Second, maxLast: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTrial(func(context.Context) (Source, error) {
					return newFake(true, 100*time.Millisecond, tc.frames, io.ErrUnexpectedEOF), nil
				})
				if err := tr.runFor(t, 2*time.Minute); err != nil {
					t.Fatalf("Run = %v, want nil", err)
				}
				last := tr.waits[len(tr.waits)-1]
				if last < tc.minLast || last > tc.maxLast {
					t.Errorf("wait after many sessions = %v, want %v..%v", last, tc.minLast, tc.maxLast)
				}
				if tr.reasons[0] != ReasonEOF {
					t.Errorf("reason = %q, want eof", tr.reasons[0])
				}
			})
		})
	}
}

func TestKeeperNumbersFramesOverReopening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := 0
		tr := newTrial(func(context.Context) (Source, error) {
			if sessions++; sessions == 1 {
				return newFake(true, time.Millisecond, 3, errors.New("cable fell out")), nil
			}
			return newFake(true, time.Millisecond, 2, io.EOF), nil
		})
		done := make(chan error, 1)
		go func() { done <- tr.keeper.Run(t.Context()) }()
		for want := uint64(1); want <= 5; want++ {
			f, err := tr.keeper.Slot.Take(t.Context())
			if err != nil || f.Seq != want {
				t.Fatalf("Take = %+v, %v; want frame %d", f, err, want)
			}
			f.Release()
		}
		if _, err := tr.keeper.Slot.Take(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("Take after the last frame = %v, want io.EOF", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil at the end of a finite source", err)
		}
		if tr.opened != 2 || tr.frames != 5 || tr.dropped != 0 {
			t.Errorf("observed %d opened, %d frames, %d dropped; want 2, 5, 0", tr.opened, tr.frames, tr.dropped)
		}
		if got := tr.log.String(); !strings.Contains(got, "cable fell out") || !strings.Contains(got, "camera opened again") {
			t.Errorf("log tells neither loss nor recovery:\n%s", got)
		}
	})
}

func TestKeeperLiveDropsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(context.Context) (Source, error) { return newFake(true, time.Millisecond, 10, io.EOF), nil })
		if err := tr.keeper.Run(t.Context()); err != nil {
			t.Fatalf("Run = %v, want nil", err)
		}
		f, err := tr.keeper.Slot.Take(t.Context())
		if err != nil || f.Seq != 10 {
			t.Errorf("Take = %+v, %v; want the newest frame, 10", f, err)
		}
		if tr.dropped != 9 || tr.keeper.Slot.Dropped() != 9 {
			t.Errorf("dropped = %d observed, %d counted; want 9", tr.dropped, tr.keeper.Slot.Dropped())
		}
	})
}

func TestKeeperStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sources []*fakeSource
		tr := newTrial(func(context.Context) (Source, error) {
			s := newFake(true, 100*time.Millisecond, 5, nil)
			sources = append(sources, s)
			return s, nil
		})
		if err := tr.runFor(t, 10*time.Second); err != nil {
			t.Fatalf("Run = %v, want nil", err)
		}
		if len(sources) < 3 {
			t.Fatalf("%d sessions in 10 s, want at least 3", len(sources))
		}
		for i, s := range sources {
			if s.closes == 0 {
				t.Errorf("session %d was not closed", i)
			}
		}
		for _, r := range tr.reasons {
			if r != ReasonStalled {
				t.Errorf("reason = %q, want stalled", r)
			}
		}
	})
}

// A consumer that takes its time with a file is no fault of the file.
func TestKeeperSlowConsumerIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(context.Context) (Source, error) { return newFake(false, 0, 3, io.EOF), nil })
		done := make(chan error, 1)
		go func() { done <- tr.keeper.Run(t.Context()) }()
		for want := uint64(1); want <= 3; want++ {
			time.Sleep(10 * tr.keeper.NoFrame) // virtual time
			f, err := tr.keeper.Slot.Take(t.Context())
			if err != nil || f.Seq != want {
				t.Fatalf("Take = %+v, %v; want frame %d", f, err, want)
			}
		}
		if err := <-done; err != nil || len(tr.reasons) != 0 {
			t.Errorf("Run = %v with reopenings %v; want nil and none", err, tr.reasons)
		}
	})
}

func TestKeeperOpenDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(ctx context.Context) (Source, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("dial: %w", ctx.Err())
		})
		if err := tr.runFor(t, 5*time.Second); err != nil {
			t.Fatalf("Run = %v, want nil", err)
		}
		if len(tr.reasons) == 0 || tr.reasons[0] != ReasonStalled {
			t.Errorf("reasons = %v, want stalled", tr.reasons)
		}
	})
}

func TestKeeperGivesUp(t *testing.T) {
	permanent := fmt.Errorf("open clip.mp4: not a video: %w", ErrPermanent)
	truncated := fmt.Errorf("read clip.mp4: %w", ErrTruncated)
	bad := errors.New("read images: image 2.png cannot be decoded")
	for name, tc := range map[string]struct {
		open   func(n int) (Source, error)
		want   error
		frames int
	}{
		"permanent":              {func(int) (Source, error) { return nil, permanent }, ErrPermanent, 0},
		"permanent after a wait": {func(n int) (Source, error) { return nil, []error{syscall.EBUSY, permanent}[n] }, ErrPermanent, 0},
		"truncated":              {func(int) (Source, error) { return newFake(true, time.Millisecond, 4, truncated), nil }, ErrTruncated, 4},
		// Opened again, these would begin anew, for ever.
		"bad image":    {func(int) (Source, error) { return newFake(false, time.Millisecond, 1, bad), nil }, bad, 1},
		"stalled file": {func(int) (Source, error) { return newFake(false, time.Millisecond, 1, nil), nil }, ErrStalled, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := -1
				tr := newTrial(func(context.Context) (Source, error) { n++; return tc.open(n) })
				if err := tr.runFor(t, time.Hour); !errors.Is(err, tc.want) {
					t.Errorf("Run = %v, want %v", err, tc.want)
				}
				if tr.frames != tc.frames {
					t.Errorf("%d frames, want %d", tr.frames, tc.frames)
				}
				if tc.frames > 0 {
					if f, err := tr.keeper.Slot.Take(t.Context()); err != nil || f.Seq != uint64(tc.frames) {
						t.Errorf("Take = %+v, %v; want frame %d from before the fault", f, err, tc.frames)
					}
				}
			})
		})
	}
}

// Once the camera has worked, no error of opening ends the program; and an io.EOF while
// opening is never the end of a finite source.
func TestKeeperKeepsTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := []error{ErrPermanent, io.EOF, syscall.EACCES, syscall.EBUSY}
		n := 0
		tr := newTrial(func(context.Context) (Source, error) {
			n++
			if n == 1 {
				return newFake(true, time.Millisecond, 1, errors.New("lost")), nil
			}
			if n-2 < len(faults) {
				return nil, faults[n-2]
			}
			return newFake(true, time.Second, 1e6, nil), nil
		})
		if err := tr.runFor(t, time.Minute); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		want := []Reason{ReasonError, ReasonError, ReasonEOF, ReasonDenied, ReasonBusy}
		if fmt.Sprint(tr.reasons) != fmt.Sprint(want) || tr.opened != 2 {
			t.Errorf("reasons %v and %d openings, want %v and 2", tr.reasons, tr.opened, want)
		}
	})
}

// synctest fails a test that leaves a goroutine behind.
func TestKeeperStops(t *testing.T) {
	for name, open := range map[string]func(context.Context) (Source, error){
		"while opening":   func(ctx context.Context) (Source, error) { <-ctx.Done(); return nil, ctx.Err() },
		"while reading":   func(context.Context) (Source, error) { return newFake(true, time.Hour, 1, nil), nil },
		"while waiting":   func(context.Context) (Source, error) { return nil, syscall.ENODEV },
		"while slot full": func(context.Context) (Source, error) { return newFake(false, 0, 9, nil), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTrial(open)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- tr.keeper.Run(ctx) }()
				synctest.Wait()
				start := time.Now()
				cancel()
				if err := <-done; err != nil || time.Since(start) > 0 {
					t.Errorf("Run = %v after %v, want nil at once", err, time.Since(start))
				}
			})
		})
	}
}

// A driver that hangs in a system call cannot be stopped; Run says so instead of hanging.
func TestKeeperStuckDriver(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	k := newTrial(func(context.Context) (Source, error) {
		close(entered)
		<-release
		return nil, errors.New("released")
	}).keeper
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, ErrStuck) {
		t.Errorf("Run = %v, want ErrStuck", err)
	}
	close(release)
}

// stubbornSource is slow to close, though its Read returns at once.
type stubbornSource struct {
	*fakeSource
	lasts time.Duration
}

func (s *stubbornSource) Close() error {
	err := s.fakeSource.Close()
	time.Sleep(s.lasts) // virtual time
	return err
}

// A camera that hangs while it is closed is reported; it is opened again only afterwards.
func TestKeeperReportsHangingClose(t *testing.T) {
	for name, tc := range map[string]struct {
		lasts    time.Duration
		err      error // of Read; nil stalls
		warnings int
	}{
		"stalled and stuck":  {lasts: time.Minute, warnings: 1},
		"stalled and slow":   {lasts: stuckAfter / 2, warnings: 0},
		"failed and stuck":   {lasts: time.Minute, err: io.ErrUnexpectedEOF, warnings: 1},
		"failed and at once": {err: io.ErrUnexpectedEOF, warnings: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opens := 0
				tr := newTrial(func(context.Context) (Source, error) {
					if opens++; opens == 1 {
						return &stubbornSource{newFake(true, time.Millisecond, 1, tc.err), tc.lasts}, nil
					}
					return newFake(true, time.Second, 1e6, nil), nil
				})
				if err := tr.runFor(t, 2*time.Minute); err != nil || opens != 2 {
					t.Errorf("Run = %v with %d openings, want nil and 2", err, opens)
				}
				if n := strings.Count(tr.log.String(), ErrStuck.Error()); n != tc.warnings {
					t.Errorf("%d reports of a stuck driver, want %d:\n%s", n, tc.warnings, &tr.log)
				}
			})
		})
	}
}

func TestOpeners(t *testing.T) {
	src := newFake(true, 0, 0, nil)
	o := Openers{"file": func(context.Context, URI, Want) (Source, error) { return src, nil }}
	if got, err := o.Open(t.Context(), URI{Scheme: "file", Path: "x"}, Want{}); got != Source(src) || err != nil {
		t.Errorf("Open(file) = %v, %v; want the registered source", got, err)
	}
	_, err := o.Open(t.Context(), URI{Scheme: "rtsp", Address: "rtsp://u:s3cret@h/"}, Want{})
	if !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), "only file") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Open(rtsp) = %v; want a permanent error that lists file and hides the password", err)
	}
}
