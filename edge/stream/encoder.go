// Package stream compresses I420 pictures to H.264, serves the result over RTSP and
// records it to MP4.
//
// An [Encoder] turns one picture into one [AccessUnit]; a [Server] hands access units to
// any number of RTSP players; a [Recorder] appends them to a file. One goroutine, the
// encode loop, calls all three. The H.264 library is chosen when the program is built:
// x264 (GPL) by default, openh264 (BSD) with -tags openh264. [FindEncoder] chooses between it
// and the elements of GStreamer, which run in a process of their own.
package stream

import (
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// AccessUnit is one compressed picture (ITU-T H.264, 7.4.1.2.3).
type AccessUnit struct {
	// NALUs are the NAL units without start codes, never empty ones. Key frames begin
	// with the parameter sets. There are none at all when the encoder left the picture
	// out to keep to its bit rate, which openh264 does.
	NALUs [][]byte
	// AnnexB holds the same NAL units as one byte stream with start codes (Annex B).
	AnnexB []byte
	// Key tells that decoding can begin here (an IDR picture).
	Key bool
}

// ParameterSets returns the sequence and picture parameter set in au, nil where there is
// none. They share au's memory.
func (au AccessUnit) ParameterSets() (sps, pps []byte) {
	for _, nalu := range au.NALUs {
		switch naluType(nalu) {
		case h264.NALUTypeSPS:
			sps = nalu
		case h264.NALUTypePPS:
			pps = nalu
		}
	}
	return sps, pps
}

// EncoderOptions describe the pictures that go in and the stream that comes out.
type EncoderOptions struct {
	// Width and Height are the size of the pictures in pixels, both even, 16 to 8192.
	Width, Height int
	// FPS is the rate in pictures per second, above 0 and up to 240, at which Encode
	// will be called. The bit rate is held per picture: calling half as often halves it.
	FPS float64
	// BitrateKbps is the mean rate aimed at, in 1000 bit/s, from 1 to 1000000.
	BitrateKbps int
	// KeyInterval is the longest time between two key frames at FPS. Players can start
	// only at key frames.
	KeyInterval time.Duration
}

func (o EncoderOptions) validate() error {
	switch {
	case o.Width < 16 || o.Height < 16 || o.Width > 8192 || o.Height > 8192:
		return fmt.Errorf("stream: cannot encode %d×%d pixels: width and height must be 16 to 8192", o.Width, o.Height)
	case o.Width%2 != 0 || o.Height%2 != 0:
		return fmt.Errorf("stream: cannot encode %d×%d pixels: I420 needs an even width and height", o.Width, o.Height)
	case !(o.FPS > 0 && o.FPS <= 240): // written so that NaN fails
		return fmt.Errorf("stream: cannot encode %v pictures per second: must be above 0 and up to 240", o.FPS)
	case o.BitrateKbps < 1 || o.BitrateKbps > 1_000_000:
		return fmt.Errorf("stream: cannot encode at %d kbit/s: must be 1 to 1000000", o.BitrateKbps)
	case o.KeyInterval <= 0:
		return fmt.Errorf("stream: key frame interval %v: must be above 0", o.KeyInterval)
	}
	return nil
}

// keyIntervalFrames is KeyInterval counted in pictures.
func (o EncoderOptions) keyIntervalFrames() int {
	return int(min(max(math.Round(o.KeyInterval.Seconds()*o.FPS), 1), math.MaxInt32))
}

// ErrEncoderLost marks a failure of the process in which an encoder runs. The next Encode
// begins a new one.
var ErrEncoderLost = errors.New("encoder failed (--encoder chooses another)")

// backend is what compresses for an Encoder.
type backend interface {
	// encode compresses a checked picture to a stream of NAL units, which holds until the
	// next call. The first picture becomes a key frame in any case.
	encode(img *image.YCbCr, key bool) ([]byte, error)
	// interrupt makes encode return soon if it waits, and fail from then on; any goroutine
	// may call it.
	interrupt()
	close() error
}

// Encoder compresses pictures of one size. It is used by one goroutine at a time, but for
// Interrupt. The library may run threads of its own between calls, or a process does; Close
// ends them.
type Encoder struct {
	options EncoderOptions
	name    string
	backend backend
	nalus   [][]byte
	closed  bool
}

// Encode compresses img, which must be I420 of exactly the encoder's size without padding
// between rows. With key it makes a key frame; the first picture and one per KeyInterval
// are key frames anyway. The access unit holds until the next Encode or Close; img is
// not kept.
func (e *Encoder) Encode(img *image.YCbCr, key bool) (AccessUnit, error) {
	if e.closed {
		return AccessUnit{}, fmt.Errorf("stream: encode: encoder: %w", os.ErrClosed)
	}
	if err := e.check(img); err != nil {
		return AccessUnit{}, err
	}
	encoded, err := e.backend.encode(img, key)
	if err != nil {
		return AccessUnit{}, fmt.Errorf("stream: encode with %s: %w", e.name, err)
	}
	e.nalus = splitAnnexB(e.nalus[:0], encoded)
	au := AccessUnit{NALUs: e.nalus, AnnexB: encoded}
	for _, nalu := range au.NALUs {
		au.Key = au.Key || naluType(nalu) == h264.NALUTypeIDR
	}
	return au, nil
}

// Interrupt makes an Encode that waits for a process return soon, with an error, and all later
// ones. Any goroutine may call it.
func (e *Encoder) Interrupt() { e.backend.interrupt() }

// check guards the libraries, which read the planes by pointer and, in x264's case,
// ignore the strides.
func (e *Encoder) check(img *image.YCbCr) error {
	w, h := e.options.Width, e.options.Height
	switch {
	case img == nil:
		return errors.New("stream: encode: no picture")
	case img.SubsampleRatio != image.YCbCrSubsampleRatio420:
		return fmt.Errorf("stream: encode: picture is %v, want 4:2:0", img.SubsampleRatio)
	case img.Rect.Dx() != w || img.Rect.Dy() != h:
		return fmt.Errorf("stream: encode: picture is %d×%d pixels, the encoder was made for %d×%d",
			img.Rect.Dx(), img.Rect.Dy(), w, h)
	case img.YStride != w || img.CStride != w/2:
		return fmt.Errorf("stream: encode: row strides are %d and %d bytes, want %d and %d (no padding)",
			img.YStride, img.CStride, w, w/2)
	case len(img.Y) < w*h || len(img.Cb) < w*h/4 || len(img.Cr) < w*h/4:
		return fmt.Errorf("stream: encode: planes hold %d, %d and %d bytes, want at least %d, %d and %d",
			len(img.Y), len(img.Cb), len(img.Cr), w*h, w*h/4, w*h/4)
	}
	return nil
}

// Close ends the encoder's threads or process and frees its memory. It is idempotent and must not
// overlap Encode.
func (e *Encoder) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	if err := e.backend.close(); err != nil {
		return fmt.Errorf("stream: close %s: %w", e.name, err)
	}
	return nil
}
