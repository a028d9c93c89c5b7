package stream

import (
	"errors"
	"fmt"
	"image"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
)

// library is the H.264 library that the program was built with, in this process.
type library struct {
	encoder codec.ReadCloser
	keys    codec.KeyFrameController
	picture *image.YCbCr // what the library pulls while encode runs
}

func openLibrary(o EncoderOptions) (backend, error) {
	builder, err := encoderBuilder(o)
	if err != nil {
		return nil, err
	}
	l := &library{}
	pull := video.ReaderFunc(func() (image.Image, func(), error) { return l.picture, func() {}, nil })
	l.encoder, err = builder.BuildVideoEncoder(pull, prop.Media{Video: prop.Video{
		Width: o.Width, Height: o.Height, FrameRate: float32(o.FPS), FrameFormat: frame.FormatI420,
	}})
	if err != nil {
		return nil, err
	}
	var ok bool
	if l.keys, ok = l.encoder.Controller().(codec.KeyFrameController); !ok {
		return nil, errors.Join(errors.New("it cannot force key frames"), l.close())
	}
	return l, nil
}

func (l *library) encode(img *image.YCbCr, key bool) ([]byte, error) {
	if key {
		if err := l.keys.ForceKeyFrame(); err != nil {
			return nil, fmt.Errorf("force a key frame: %w", err)
		}
	}
	l.picture = img
	encoded, release, err := l.encoder.Read()
	l.picture = nil
	if err != nil {
		return nil, err
	}
	release() // both libraries hand out a copy and release nothing
	return encoded, nil
}

// interrupt does nothing: a library does not wait for anyone.
func (l *library) interrupt() {}

func (l *library) close() error { return l.encoder.Close() }
