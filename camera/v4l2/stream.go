package v4l2

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// wantedBuffers is one that the driver fills, two that wait and one that is being read.
	wantedBuffers = 4
	maxBuffers    = 32 // VIDEO_MAX_FRAME of videodev2.h
)

// stream is a device whose driver fills buffers. One goroutine may use it at a time, except for
// wake.
type stream struct {
	*device
	buffers   [][]byte
	requested bool // buffers of the driver
	started   bool
	waker     waker

	// What the calls for each picture are given, here so that none is allocated.
	polled  [2]unix.PollFd
	current rawBuffer
}

// startStream has the driver fill buffers, each of at least so many bytes. If it fails, what it
// took is given back, but for the device, which stays open.
func startStream(d *device, bytes int) (*stream, error) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	s := &stream{device: d, waker: waker{fd: wake}}
	s.polled = [2]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	if err := s.start(bytes); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stream) start(bytes int) error {
	count, err := s.request(wantedBuffers)
	if err != nil {
		return err
	}
	s.requested = true
	if count == 0 || count > maxBuffers {
		return fmt.Errorf("VIDIOC_REQBUFS: driver gives %d buffers: %w", count, unix.ENOMEM)
	}
	for i := range count {
		if err := s.mapBuffer(i, bytes); err != nil {
			return err
		}
	}
	for i := range count {
		if err := s.queue(i); err != nil {
			return err
		}
	}
	kind := rawType(typeCapture)
	if err := s.do(doStart, unsafe.Pointer(&kind)); err != nil {
		return fmt.Errorf("VIDIOC_STREAMON: %w", err)
	}
	s.started = true
	return nil
}

// request asks for buffers, or with 0 gives them back, and returns how many there are.
func (s *stream) request(count int) (int, error) {
	r := rawRequest{count: cUint(count), _type: typeCapture, memory: memoryMap}
	if err := s.do(doRequest, unsafe.Pointer(&r)); err != nil {
		return 0, fmt.Errorf("VIDIOC_REQBUFS: %w", err)
	}
	return int(r.count), nil
}

func (s *stream) mapBuffer(index, bytes int) error {
	b := rawBuffer{index: cUint(index), _type: typeCapture, memory: memoryMap}
	if err := s.do(doDescribe, unsafe.Pointer(&b)); err != nil {
		return fmt.Errorf("VIDIOC_QUERYBUF %d: %w", index, err)
	}
	if int(b.length) < bytes {
		return fmt.Errorf("VIDIOC_QUERYBUF %d: driver's buffer has %d bytes, a picture %d", index, b.length, bytes)
	}
	memory, err := s.kernel.mmap(s.fd, int64(*(*uint32)(unsafe.Pointer(&b.m))), int(b.length))
	if err != nil {
		return fmt.Errorf("map buffer %d of %d bytes: %w", index, b.length, err)
	}
	s.buffers = append(s.buffers, memory)
	return nil
}

// queue gives a buffer to the driver.
func (s *stream) queue(index int) error {
	s.current = rawBuffer{index: cUint(index), _type: typeCapture, memory: memoryMap}
	if err := s.do(doQueue, unsafe.Pointer(&s.current)); err != nil {
		return fmt.Errorf("VIDIOC_QBUF %d: %w", index, err)
	}
	return nil
}

// filled is a buffer that the driver is done with. Its bytes hold until it is queued again.
type filled struct {
	index    int
	bytes    []byte
	damaged  bool // the driver says so, or there is nothing in it
	sequence uint32
	// stamp is in nanoseconds, of CLOCK_MONOTONIC if the driver says so.
	stamp     int64
	monotonic bool
}

// errEmpty is of a stream that has no filled buffer now.
var errEmpty = errors.New("no buffer is filled")

// dequeue takes the oldest filled buffer from the driver, or returns errEmpty.
func (s *stream) dequeue() (filled, error) {
	s.current = rawBuffer{_type: typeCapture, memory: memoryMap}
	b := &s.current
	switch err := s.do(doDequeue, unsafe.Pointer(b)); {
	case err == nil:
	case errors.Is(err, unix.EAGAIN):
		return filled{}, errEmpty
	case errors.Is(err, unix.EPIPE): // the driver will fill no more
		return filled{}, fmt.Errorf("VIDIOC_DQBUF: %w: %w", io.ErrUnexpectedEOF, err)
	default:
		return filled{}, fmt.Errorf("VIDIOC_DQBUF: %w", err)
	}
	i, used := int(b.index), int(b.bytesused)
	if i >= len(s.buffers) || used > len(s.buffers[i]) {
		return filled{}, fmt.Errorf("VIDIOC_DQBUF: driver tells of %d bytes in buffer %d, which there are not", used, i)
	}
	flags := uint32(b.flags)
	return filled{
		index: i, bytes: s.buffers[i][:used], damaged: flags&flagError != 0 || used == 0, sequence: uint32(b.sequence),
		monotonic: flags&flagTimeMask == flagTimeMonotonic,
		stamp:     stampOf(b),
	}, nil
}

// wait blocks until a buffer is filled, wake is called, or so many milliseconds have passed
// (never, if negative), and tells which of the first two it was. The driver's error comes from
// dequeue, but where it has none to tell.
func (s *stream) wait(milliseconds int) (ready, woken bool, err error) {
	s.polled[0].Revents, s.polled[1].Revents = 0, 0
	if _, err := unix.Poll(s.polled[:], milliseconds); err != nil && !errors.Is(err, unix.EINTR) {
		return false, false, fmt.Errorf("poll: %w", err)
	}
	if s.polled[1].Revents != 0 {
		s.waker.drain()
		woken = true
	}
	return s.polled[0].Revents != 0, woken, nil
}

// failing tells whether the last wait ended because the driver has an error, and no picture.
func (s *stream) failing() bool {
	r := s.polled[0].Revents
	return r&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 && r&unix.POLLIN == 0
}

// stop ends streaming and gives the buffers back. The device stays open.
func (s *stream) stop() error {
	var errs []error
	if s.started {
		kind := rawType(typeCapture)
		if err := s.do(doStop, unsafe.Pointer(&kind)); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("VIDIOC_STREAMOFF: %w", err))
		}
		s.started = false
	}
	for _, b := range s.buffers {
		if err := unix.Munmap(b); err != nil {
			errs = append(errs, fmt.Errorf("unmap a buffer: %w", err))
		}
	}
	s.buffers = nil
	if s.requested {
		s.requested = false
		// Closing the device does so, too; this is for those that it is shared with.
		if _, err := s.request(0); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.waker.close())...)
}

// waker makes a wait return, from any goroutine.
type waker struct {
	mu sync.Mutex
	fd int // -1 once closed: the number may belong to another file then
}

var one = [8]byte{1} // a number above 0 in either order of bytes

func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		_, _ = unix.Write(w.fd, one[:]) // fails only when so many wake-ups are waiting that no more fit
	}
}

// drain forgets wake-ups so far.
func (w *waker) drain() {
	var count [8]byte
	_, _ = unix.Read(w.fd, count[:]) // fails only when there are none
}

func (w *waker) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return nil
	}
	fd := w.fd
	w.fd = -1
	return unix.Close(fd)
}
