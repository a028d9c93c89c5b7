package v4l2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/internal/mjpeg"
)

func picture(sequence uint32) delivery {
	return delivery{bytes: grey(64, 48, byte(50+sequence)), sequence: sequence}
}

var errAny = errors.New("any error")

func TestReadFaults(t *testing.T) {
	marked := delivery{bytes: grey(64, 48, 50), flags: flagError}
	for name, tc := range map[string]struct {
		deliveries []delivery
		is         error // nil: a frame comes
		says       string
	}{
		"unplugged":                {[]delivery{{err: syscall.ENODEV}}, syscall.ENODEV, "plug it in"},
		"bus fails":                {[]delivery{{err: syscall.EIO}}, syscall.EIO, "dmesg"},
		"driver ends":              {[]delivery{{err: syscall.EPIPE}}, io.ErrUnexpectedEOF, ""},
		"marked once":              {[]delivery{marked, picture(1)}, nil, ""},
		"marked often":             {append(slices.Repeat([]delivery{marked}, maxDamaged), picture(10)), nil, ""},
		"nothing but":              {slices.Repeat([]delivery{marked}, maxDamaged+1), errDamaged, "another cable"},
		"empty":                    {[]delivery{{}, picture(1)}, nil, ""},
		"short":                    {[]delivery{{bytes: make([]byte, 64*48)}}, nil, ""},
		"short often":              {slices.Repeat([]delivery{{bytes: make([]byte, 64*48)}}, maxDamaged+1), errDamaged, "it has 3072 bytes of 6144"},
		"unplugged after damage":   {[]delivery{marked, {err: syscall.ENODEV}}, syscall.ENODEV, ""},
		"buffer that is not there": {[]delivery{{bytes: grey(64, 48, 50), index: 99}}, errAny, "buffer 99"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &fakeDriver{buffers: 1} // so that pictures come one after the other
			src := openOne(t, d)
			d.deliver(tc.deliveries...)
			if name == "short" {
				d.deliver(picture(1))
			}
			f, err := src.Read(t.Context())
			if tc.is == nil && (err != nil || f == nil) || tc.is != nil && (err == nil || tc.is != errAny && !errors.Is(err, tc.is)) {
				t.Fatalf("Read = %v, want %v", err, tc.is)
			}
			if tc.is != nil && (!strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "read /")) {
				t.Errorf("Read = %v, want %q", err, tc.says)
			}
			if errors.Is(err, io.EOF) {
				t.Error("io.EOF, which only finite sources may return")
			}
			if tc.is == nil && len(d.queued) != 1 {
				t.Errorf("driver has %d buffers after Read, want all", len(d.queued))
			}
		})
	}
}

// A driver whose poll fails, but which has no error to tell, must not be asked for ever.
func TestFailingPoll(t *testing.T) {
	d := &fakeDriver{}
	src := openOne(t, d)
	d.hangUp()
	if _, err := src.Read(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Errorf("Read = %v, want EIO", err)
	}
}

func TestSpuriousWakeUp(t *testing.T) {
	d := &fakeDriver{}
	src := openOne(t, d)
	d.spurious()
	done := make(chan error, 1)
	go func() {
		f, err := src.Read(context.Background())
		if err == nil && f.Skipped != 0 {
			err = errAny
		}
		done <- err
	}()
	d.deliver(picture(0))
	if err := <-done; err != nil {
		t.Errorf("Read = %v", err)
	}
}

// A reader that comes late gets the newest picture, and learns how many it missed.
func TestNewest(t *testing.T) {
	d := &fakeDriver{}
	src := openOne(t, d)
	bad := picture(13)
	bad.flags = flagError
	d.deliver(picture(10), picture(11), picture(12), bad)
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := f.Raw(); raw[0] != 62 || f.Skipped != 3 {
		t.Errorf("picture %d, %d skipped; want picture 12, and 3 given up", raw[0]-50, f.Skipped)
	}
	if len(d.queued) != wantedBuffers {
		t.Errorf("driver has %d buffers, want %d", len(d.queued), wantedBuffers)
	}
}

func TestSkipped(t *testing.T) {
	var c counter
	for i, step := range []struct {
		sequence   uint32
		given, now uint64
	}{
		{sequence: 3, now: 0}, // what came before the first one is not known
		{sequence: 4, now: 0},
		{sequence: 8, now: 3},
		{sequence: 9, given: 2, now: 2}, // a driver that does not count what it marks
		{sequence: 13, given: 1, now: 3},
		{sequence: 0, now: 0}, // begins anew
		{sequence: 0, now: 0}, // never counts
		{sequence: 0, given: 1, now: 1},
	} {
		c.skipped += step.given
		if got := c.deliver(step.sequence); got != step.now {
			t.Errorf("step %d: %d skipped, want %d", i, got, step.now)
		}
	}
	c = counter{last: math.MaxUint32 - 1, delivered: true}
	if got := c.deliver(1); got != 2 {
		t.Errorf("across the wrap: %d skipped, want 2", got)
	}
}

func TestCaptured(t *testing.T) {
	const now = int64(1000 * time.Second)
	for name, tc := range map[string]struct {
		stamp int64
		flags uint32
		last  int64
		age   time.Duration
		// believed says that the next stamp must be later than this one.
		believed bool
	}{
		"monotonic":              {now - int64(30*time.Millisecond), flagTimeMonotonic, 0, 30 * time.Millisecond, true},
		"of this moment":         {now, flagTimeMonotonic, 0, 0, true},
		"a little ahead":         {now + int64(5*time.Millisecond), flagTimeMonotonic, 0, 0, true},
		"from the future":        {now + int64(time.Second), flagTimeMonotonic, 0, 0, false},
		"from before the camera": {now - int64(2*time.Minute), flagTimeMonotonic, 0, 0, false},
		"not after the last":     {now - int64(30*time.Millisecond), flagTimeMonotonic, now - int64(30*time.Millisecond), 0, false},
		"none":                   {0, flagTimeMonotonic, 0, 0, false},
		"unknown clock":          {now - int64(30*time.Millisecond), 0, 0, 0, false},
		"time of day":            {1_800_000_000 * int64(time.Second), 0, 0, 0, false},
		"copied from an output":  {now - int64(30*time.Millisecond), 0x4000, 0, 0, false},
	} {
		opened := time.Now()
		s := source{opened: opened, clock: func() int64 { return now }, last: tc.last}
		at := opened.Add(time.Minute)
		got := at.Sub(s.captured(filled{stamp: tc.stamp, monotonic: tc.flags&flagTimeMask == flagTimeMonotonic}, at))
		if got != tc.age {
			t.Errorf("%s: captured %v before now, want %v", name, got, tc.age)
		}
		if believed := s.last != tc.last; believed != tc.believed {
			t.Errorf("%s: the stamp counts for the next frame: %v, want %v", name, believed, tc.believed)
		}
	}
}

// The driver's stamp becomes the frame's, on the clock of time.Time.
func TestCapturedByDriver(t *testing.T) {
	d := &fakeDriver{}
	src := openOne(t, d)
	before := time.Now()
	p := picture(0)
	p.flags, p.stamp = flagTimeMonotonic, monotonic()
	after := time.Now()
	d.deliver(p)
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The stamp has microseconds, and both clocks are read one after the other.
	if lead, lag := before.Sub(f.Captured), f.Captured.Sub(after); lead > time.Millisecond || lag > time.Millisecond {
		t.Errorf("captured %v before it was stamped or %v after", lead, lag)
	}
}

// Neither Close nor the end of the context may wait for a picture.
func TestSilence(t *testing.T) {
	for name, tc := range map[string]struct {
		end func(camera.Source, context.CancelFunc) error
		is  error
	}{
		"closed":    {func(src camera.Source, _ context.CancelFunc) error { return src.Close() }, fs.ErrClosed},
		"cancelled": {func(_ camera.Source, cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			d := &fakeDriver{}
			src := openOne(t, d)
			d.deliver(picture(0))
			old, forget := context.WithCancel(t.Context())
			if _, err := src.Read(old); err != nil {
				t.Fatal(err)
			}
			forget() // of an earlier Read, which must not end this one
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { _, err := src.Read(ctx); done <- err }()
			for src.(*source).reading.TryLock() { // until Read has it
				src.(*source).reading.Unlock()
			}
			if err := tc.end(src, cancel); err != nil {
				t.Error(err)
			}
			start := time.Now()
			if err := <-done; !errors.Is(err, tc.is) {
				t.Errorf("Read = %v, want %v", err, tc.is)
			}
			if took := time.Since(start); took > 500*time.Millisecond {
				t.Errorf("Read took %v to return", took)
			}
		})
	}
}

// Close wakes a Read before it waits for it, and what woke one wait does not wake the next.
func TestCloseWakes(t *testing.T) {
	src := openOne(t, &fakeDriver{}).(*source)
	src.reading.Lock() // in the place of a Read
	done := make(chan error, 1)
	go func() { done <- src.Close() }()
	if ready, woken, err := src.stream.wait(10_000); ready || !woken || err != nil {
		t.Errorf("wait = ready %v, woken %v, %v; want to be woken", ready, woken, err)
	}
	if _, woken, err := src.stream.wait(0); woken || err != nil {
		t.Errorf("the next wait = woken %v, %v", woken, err)
	}
	src.reading.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The end of the context that Read was given last wakes it, and no other's.
func TestContextWakes(t *testing.T) {
	d := &fakeDriver{}
	src := openOne(t, d).(*source)
	old, endOld := context.WithCancel(t.Context())
	ctx, end := context.WithCancel(t.Context())
	for _, c := range []context.Context{old, ctx, ctx} {
		d.deliver(picture(0))
		if _, err := src.Read(c); err != nil {
			t.Fatal(err)
		}
	}
	endOld()
	if _, woken, err := src.stream.wait(20); woken || err != nil {
		t.Errorf("the end of an earlier context: woken %v, %v", woken, err)
	}
	end()
	if _, woken, err := src.stream.wait(10_000); !woken || err != nil {
		t.Errorf("the end of the context: woken %v, %v", woken, err)
	}
}

func TestReadMJPEG(t *testing.T) {
	d := &fakeDriver{formats: webcam()[:1], buffers: 1} // so that pictures come one after the other
	src := openOne(t, d)
	whole := coded(t, 64, 48, 77)
	d.deliver(delivery{bytes: whole[:len(whole)/2]}, delivery{bytes: append(bytes.Clone(whole), make([]byte, 100)...), sequence: 1})
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := f.Raw(); raw != nil || bgrOf(t, f)[0] != 77 || f.Skipped == 0 {
		t.Errorf("raw %d bytes, pixel %d, skipped %d; want a decoded frame after a damaged one", len(raw), f.Pix[0], f.Skipped)
	}
	f.Release()
	d.deliver(slices.Repeat([]delivery{{bytes: coded(t, 32, 16, 1)}}, maxDamaged+1)...)
	_, err = src.Read(t.Context())
	if !errors.Is(err, mjpeg.ErrDamaged) || !strings.Contains(err.Error(), "32x16 pixels instead of 64x48") {
		t.Errorf("Read = %v", err)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	for _, format := range []string{"YUYV", "MJPG"} {
		t.Run(format, func(t *testing.T) {
			d := &fakeDriver{formats: []fakeFormat{listed(format, 30, [2]int{64, 48})}}
			src := openOne(t, d)
			next := []delivery{picture(0)}
			if format == "MJPG" {
				next[0].bytes = coded(t, 64, 48, 3)
			}
			d.done = make([]delivery, 0, 1000)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if n := testing.AllocsPerRun(100, func() {
				next[0].sequence++
				d.deliver(next...)
				f, err := src.Read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.BGR(); err != nil {
					t.Fatal(err)
				}
				f.Release()
			}); n != 0 {
				t.Errorf("Read allocates %v times per frame", n)
			}
		})
	}
}
