package calibrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/file"
	"github.com/robustnet-edge/robustnet/train/data"
)

// Video is a [Source] of frames of a video file.
type Video struct {
	path   string
	frames int
}

// OpenVideo counts the frames of a video file, which takes reading it once.
func OpenVideo(ctx context.Context, path string) (*Video, error) {
	v := &Video{path: path}
	err := v.each(ctx, func(*camera.Frame) error { v.frames++; return nil })
	if err == nil && v.frames == 0 {
		err = errors.New("it has no frames")
	}
	if err != nil {
		return nil, fmt.Errorf("open video %s: %w", path, err)
	}
	return v, nil
}

// Name implements [Source].
func (v *Video) Name() string { return v.path }

// Len implements [Source].
func (v *Video) Len() int { return v.frames }

// errEnough ends the reading of a video.
var errEnough = errors.New("enough")

// Read implements [Source].
func (v *Video) Read(ctx context.Context, places []int, each func(p *data.Picture) error) error {
	at := 0
	err := v.each(ctx, func(f *camera.Frame) error {
		if len(places) == 0 {
			return errEnough
		}
		if at++; at-1 != places[0] {
			return nil
		}
		places = places[1:]
		p := &data.Picture{Width: f.Width, Height: f.Height}
		// BGR swaps the first and the third channel, which it does both ways.
		p.RGB = (&data.Picture{RGB: f.Pix}).BGR(nil)
		return each(p)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && len(places) > 0 {
		err = fmt.Errorf("read video %s: it has become shorter", v.path)
	}
	return err
}

// each calls f with every frame, which is f's until it returns.
func (v *Video) each(ctx context.Context, f func(*camera.Frame) error) (err error) {
	uri := camera.URI{Scheme: "file", Path: v.path, Params: url.Values{"pace": {"0"}}}
	source, err := file.Open(ctx, uri, camera.Want{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	for {
		frame, err := source.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = f(frame)
		frame.Release()
		if err != nil {
			return err
		}
	}
}
