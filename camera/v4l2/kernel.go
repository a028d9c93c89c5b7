package v4l2

/*
#include <linux/videodev2.h>
*/
import "C"

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's structures, whose layout the C compiler knows on each architecture.
type (
	rawCapability = C.struct_v4l2_capability
	rawFormatDesc = C.struct_v4l2_fmtdesc
	rawSize       = C.struct_v4l2_frmsizeenum
	rawDiscrete   = C.struct_v4l2_frmsize_discrete
	rawSizeSteps  = C.struct_v4l2_frmsize_stepwise
	rawInterval   = C.struct_v4l2_frmivalenum
	rawSteps      = C.struct_v4l2_frmival_stepwise
	rawFraction   = C.struct_v4l2_fract
	rawFormat     = C.struct_v4l2_format
	rawPicture    = C.struct_v4l2_pix_format
	rawParameters = C.struct_v4l2_streamparm
	rawCapture    = C.struct_v4l2_captureparm
	rawRequest    = C.struct_v4l2_requestbuffers
	rawBuffer     = C.struct_v4l2_buffer
	rawType       = C.enum_v4l2_buf_type

	cUint = C.__u32
	cByte = C.__u8
)

const (
	doCapability = C.VIDIOC_QUERYCAP
	doFormatDesc = C.VIDIOC_ENUM_FMT
	doSize       = C.VIDIOC_ENUM_FRAMESIZES
	doInterval   = C.VIDIOC_ENUM_FRAMEINTERVALS
	doGetFormat  = C.VIDIOC_G_FMT
	doSetFormat  = C.VIDIOC_S_FMT
	doGetRate    = C.VIDIOC_G_PARM
	doSetRate    = C.VIDIOC_S_PARM
	doRequest    = C.VIDIOC_REQBUFS
	doDescribe   = C.VIDIOC_QUERYBUF
	doQueue      = C.VIDIOC_QBUF
	doDequeue    = C.VIDIOC_DQBUF
	doStart      = C.VIDIOC_STREAMON
	doStop       = C.VIDIOC_STREAMOFF
)

const (
	capCapture      = C.V4L2_CAP_VIDEO_CAPTURE
	capMultiPlanar  = C.V4L2_CAP_VIDEO_CAPTURE_MPLANE
	capStreaming    = C.V4L2_CAP_STREAMING
	capMetadata     = C.V4L2_CAP_META_CAPTURE
	capOfNode       = C.V4L2_CAP_DEVICE_CAPS
	capTimePerFrame = C.V4L2_CAP_TIMEPERFRAME

	typeCapture = C.V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMap   = C.V4L2_MEMORY_MMAP

	kindDiscrete   = C.V4L2_FRMSIZE_TYPE_DISCRETE
	kindContinuous = C.V4L2_FRMSIZE_TYPE_CONTINUOUS
	kindStepwise   = C.V4L2_FRMSIZE_TYPE_STEPWISE

	rateDiscrete = C.V4L2_FRMIVAL_TYPE_DISCRETE

	flagError         = C.V4L2_BUF_FLAG_ERROR
	flagTimeMask      = C.V4L2_BUF_FLAG_TIMESTAMP_MASK
	flagTimeMonotonic = C.V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC
)

// stampOf is a buffer's time stamp in nanoseconds.
func stampOf(b *rawBuffer) int64 {
	return int64(b.timestamp.tv_sec)*1e9 + int64(b.timestamp.tv_usec)*1e3
}

func setStamp(b *rawBuffer, nanoseconds int64) {
	b.timestamp.tv_sec, b.timestamp.tv_usec = C.long(nanoseconds/1e9), C.long(nanoseconds%1e9/1e3)
}

// fourCC is a pixel format by the kernel's number: four characters, the first one lowest.
type fourCC uint32

func newFourCC(s string) fourCC {
	return fourCC(s[0]) | fourCC(s[1])<<8 | fourCC(s[2])<<16 | fourCC(s[3])<<24
}

// String returns the characters, with a dot for what cannot be printed.
func (f fourCC) String() string {
	b := []byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '.'
		}
	}
	n := 4
	for n > 1 && b[n-1] == ' ' { // as in "Y16 "
		n--
	}
	return string(b[:n])
}

// kernel is what this package asks of the system. Tests put a driver of their own in its place.
type kernel interface {
	open(path string) (fd int, err error)
	ioctl(fd int, request uintptr, argument unsafe.Pointer) error
	mmap(fd int, offset int64, length int) ([]byte, error)
}

// system is the kernel itself.
type system struct{}

// open never waits for a picture, nor for whoever has the device.
func (system) open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (system) ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	for {
		_, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
		switch no {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return no
		}
	}
}

func (system) mmap(fd int, offset int64, length int) ([]byte, error) {
	// Some drivers refuse a mapping that cannot be written, as if their pictures went out.
	return unix.Mmap(fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// text is a string of C in a field of fixed size.
func text[T ~uint8 | ~int8](field []T) string {
	var b []byte
	for _, c := range field {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
