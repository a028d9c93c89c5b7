package v4l2

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// device is an open device node. One goroutine may use it at a time.
type device struct {
	kernel kernel
	path   string
	fd     int
}

// openDevice opens a node. Errors are the system's own.
func openDevice(k kernel, path string) (*device, error) {
	fd, err := k.open(path)
	if err != nil {
		return nil, err
	}
	return &device{kernel: k, path: path, fd: fd}, nil
}

func (d *device) close() error { return unix.Close(d.fd) }

func (d *device) do(request uintptr, argument unsafe.Pointer) error {
	return d.kernel.ioctl(d.fd, request, argument)
}

// capability is what a driver says of a node.
type capability struct {
	driver, card, bus string
	// node has the flags of this node: those of a driver cover all nodes of a camera.
	node uint32
}

// capability asks what the node is. A file that is none of Video4Linux answers ENOTTY.
func (d *device) capability() (capability, error) {
	var c rawCapability
	if err := d.do(doCapability, unsafe.Pointer(&c)); err != nil {
		return capability{}, fmt.Errorf("VIDIOC_QUERYCAP: %w", err)
	}
	flags := uint32(c.capabilities)
	if flags&capOfNode != 0 {
		flags = uint32(c.device_caps)
	}
	return capability{driver: text(c.driver[:]), card: text(c.card[:]), bus: text(c.bus_info[:]), node: flags}, nil
}

// errNoCamera is of nodes that never deliver pictures: the second node of most USB cameras, which
// has metadata, outputs, codecs.
var errNoCamera = errors.New("node delivers no pictures")

// check says why pictures cannot be read from the node, if they cannot.
func (c capability) check() error {
	switch {
	case c.node&capCapture != 0 && c.node&capStreaming != 0:
		return nil
	case c.node&capCapture != 0:
		return errors.New("driver has no buffers to map (V4L2_CAP_STREAMING); read the camera by gst:v4l2src instead")
	case c.node&capMultiPlanar != 0:
		return errors.New("driver has the multi-planar interface only, which is not supported; read the camera by gst:v4l2src or, on a Jetson, csi://0 instead")
	case c.node&capMetadata != 0:
		return fmt.Errorf("%w, only metadata; take the camera's other node", errNoCamera)
	}
	return errNoCamera
}

// maxEnumerated bounds lists of drivers that never end them.
const maxEnumerated = 1000

// list calls ask for 0, 1, 2 and so on until the driver ends the list with EINVAL, or ENOTTY where
// it has none.
func list(what string, ask func(index int) error) error {
	for i := range maxEnumerated {
		err := ask(i)
		switch {
		case err == nil:
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENODATA):
			return nil
		default:
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// formats lists the pixel formats of pictures.
func (d *device) formats() ([]fourCC, error) {
	var all []fourCC
	err := list("VIDIOC_ENUM_FMT", func(i int) error {
		f := rawFormatDesc{index: cUint(i), _type: typeCapture}
		err := d.do(doFormatDesc, unsafe.Pointer(&f))
		if err == nil {
			all = append(all, fourCC(f.pixelformat))
		}
		return err
	})
	return all, err
}

// span is a range of numbers: low, low+step and so on up to high.
type span struct{ low, high, step int }

// nearest returns the number of the range that is at or above n, or else the highest.
func (s span) nearest(n int) int {
	step := max(s.step, 1)
	top := s.low + (s.high-s.low)/step*step
	if n <= s.low {
		return s.low
	}
	return min(s.low+(n-s.low+step-1)/step*step, top)
}

// sizes is one entry of a driver's list of sizes; low equals high where there is one only.
type sizes struct{ width, height span }

// sizes lists the sizes of a format; none where the driver keeps no list.
func (d *device) sizes(format fourCC) ([]sizes, error) {
	var all []sizes
	err := list("VIDIOC_ENUM_FRAMESIZES", func(i int) error {
		f := rawSize{index: cUint(i), pixel_format: cUint(format)}
		if err := d.do(doSize, unsafe.Pointer(&f)); err != nil {
			return err
		}
		if f._type == kindDiscrete {
			one := (*rawDiscrete)(unsafe.Pointer(&f.anon0))
			all = append(all, sizes{single(int(one.width)), single(int(one.height))})
			return nil
		}
		if f._type != kindStepwise && f._type != kindContinuous {
			return nil
		}
		r := (*rawSizeSteps)(unsafe.Pointer(&f.anon0))
		all = append(all, sizes{
			span{int(r.min_width), int(r.max_width), int(r.step_width)},
			span{int(r.min_height), int(r.max_height), int(r.step_height)},
		})
		return errLast // these kinds have one entry
	})
	return all, err
}

// errLast ends a list of which there can be no further entry.
var errLast = unix.EINVAL

func single(n int) span { return span{n, n, 1} }

// fraction is an interval between two frames, in seconds.
type fraction struct{ numerator, denominator uint32 }

// rate is in frames per second, 0 for an interval that makes no sense.
func (f fraction) rate() float64 {
	if f.numerator == 0 || f.denominator == 0 {
		return 0
	}
	return float64(f.denominator) / float64(f.numerator)
}

// intervals is one entry of a driver's list of frame intervals; shortest equals longest where
// there is one only, and step is zero where all between them will do.
type intervals struct{ shortest, longest, step fraction }

// intervals lists the frame intervals of a mode; none where the driver keeps no list.
func (d *device) intervals(format fourCC, width, height int) ([]intervals, error) {
	var all []intervals
	err := list("VIDIOC_ENUM_FRAMEINTERVALS", func(i int) error {
		f := rawInterval{index: cUint(i), pixel_format: cUint(format), width: cUint(width), height: cUint(height)}
		if err := d.do(doInterval, unsafe.Pointer(&f)); err != nil {
			return err
		}
		if f._type == rateDiscrete {
			one := fractionOf(*(*rawFraction)(unsafe.Pointer(&f.anon0)))
			all = append(all, intervals{shortest: one, longest: one})
			return nil
		}
		r := (*rawSteps)(unsafe.Pointer(&f.anon0))
		all = append(all, intervals{fractionOf(r.min), fractionOf(r.max), fractionOf(r.step)})
		return errLast
	})
	return all, err
}

func fractionOf(f rawFraction) fraction {
	return fraction{numerator: uint32(f.numerator), denominator: uint32(f.denominator)}
}

// layout is how a driver lays pictures into its buffers.
type layout struct {
	format        fourCC
	width, height int
	stride        int // bytes from one row to the next; 0 for compressed pictures
	bytes         int // of a whole picture, or the most that a compressed one takes
}

func layoutOf(f *rawFormat) layout {
	p := (*rawPicture)(unsafe.Pointer(&f.fmt))
	return layout{
		format: fourCC(p.pixelformat), width: int(p.width), height: int(p.height),
		stride: int(p.bytesperline), bytes: int(p.sizeimage),
	}
}

// layout asks for the format in which the node is now.
func (d *device) layout() (layout, error) {
	f := rawFormat{_type: typeCapture}
	if err := d.do(doGetFormat, unsafe.Pointer(&f)); err != nil {
		return layout{}, fmt.Errorf("VIDIOC_G_FMT: %w", err)
	}
	return layoutOf(&f), nil
}

// setLayout asks for a format and returns the one that the driver set, which may be another.
func (d *device) setLayout(format fourCC, width, height int) (layout, error) {
	f := rawFormat{_type: typeCapture}
	p := (*rawPicture)(unsafe.Pointer(&f.fmt))
	p.pixelformat, p.width, p.height = cUint(format), cUint(width), cUint(height)
	if err := d.do(doSetFormat, unsafe.Pointer(&f)); err != nil {
		return layout{}, fmt.Errorf("VIDIOC_S_FMT: %w", err)
	}
	return layoutOf(&f), nil
}

// setInterval asks for a frame interval and returns the one that the driver set. Drivers that have
// no choice say nothing: the interval is then zero.
func (d *device) setInterval(want fraction) (fraction, error) {
	p := rawParameters{_type: typeCapture}
	err := d.do(doGetRate, unsafe.Pointer(&p))
	c := (*rawCapture)(unsafe.Pointer(&p.parm))
	if err == nil && c.capability&capTimePerFrame != 0 && want.rate() > 0 {
		c.timeperframe = rawFraction{numerator: cUint(want.numerator), denominator: cUint(want.denominator)}
		err = d.do(doSetRate, unsafe.Pointer(&p))
	}
	switch {
	case err == nil:
		return fractionOf(c.timeperframe), nil
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EINVAL):
		return fraction{}, nil
	}
	return fraction{}, fmt.Errorf("VIDIOC_S_PARM: %w", err)
}
