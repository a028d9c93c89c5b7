// Package stream compresses I420 pictures to H.264, serves the result over RTSP and
// records it to MP4.
//
// An [Encoder] turns one picture into one [AccessUnit]; a [Server] hands access units to
// any number of RTSP players; a [Recorder] appends them to a file. One goroutine, the
// encode loop, calls all three. The H.264 library is chosen when the program is built:
// x264 (GPL) by default, openh264 (BSD) with -tags openh264.
package stream

import (
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
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

// Encoder compresses pictures of one size. It is used by one goroutine at a time. The
// library may run threads of its own between calls; Close ends them.
type Encoder struct {
	options EncoderOptions
	library codec.ReadCloser
	keys    codec.KeyFrameController
	picture *image.YCbCr // what the library pulls while Encode runs
	nalus   [][]byte
	closed  bool
}

// NewEncoder makes an encoder that the caller must Close.
func NewEncoder(o EncoderOptions) (*Encoder, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	e := &Encoder{options: o}
	builder, err := encoderBuilder(o)
	if err != nil {
		return nil, fmt.Errorf("stream: set up %s: %w", EncoderName(), err)
	}
	pull := video.ReaderFunc(func() (image.Image, func(), error) { return e.picture, func() {}, nil })
	e.library, err = builder.BuildVideoEncoder(pull, prop.Media{Video: prop.Video{
		Width: o.Width, Height: o.Height, FrameRate: float32(o.FPS), FrameFormat: frame.FormatI420,
	}})
	if err != nil {
		return nil, fmt.Errorf("stream: open %s for %d×%d pixels at %d kbit/s: %w",
			EncoderName(), o.Width, o.Height, o.BitrateKbps, err)
	}
	var ok bool
	if e.keys, ok = e.library.Controller().(codec.KeyFrameController); !ok {
		return nil, errors.Join(fmt.Errorf("stream: %s cannot force key frames", EncoderName()), e.Close())
	}
	return e, nil
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
	if key {
		if err := e.keys.ForceKeyFrame(); err != nil {
			return AccessUnit{}, fmt.Errorf("stream: force a key frame: %w", err)
		}
	}
	e.picture = img
	encoded, release, err := e.library.Read()
	e.picture = nil
	if err != nil {
		return AccessUnit{}, fmt.Errorf("stream: encode with %s: %w", EncoderName(), err)
	}
	release() // both libraries hand out a copy and release nothing
	e.nalus = splitAnnexB(e.nalus[:0], encoded)
	au := AccessUnit{NALUs: e.nalus, AnnexB: encoded}
	for _, nalu := range au.NALUs {
		au.Key = au.Key || naluType(nalu) == h264.NALUTypeIDR
	}
	return au, nil
}

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

// Close ends the encoder's threads and frees its memory. It is idempotent and must not
// overlap Encode.
func (e *Encoder) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	if err := e.library.Close(); err != nil {
		return fmt.Errorf("stream: close %s: %w", EncoderName(), err)
	}
	return nil
}
