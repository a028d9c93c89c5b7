package calibrate

import (
	"context"
	"fmt"
	"hash"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/train/data"
)

// calibration is one that is under way.
type calibration struct {
	model   Model
	record  func(tensor func(i int) ([]float32, []int64, error)) error
	hash    hash.Hash
	options Options
	views   *Styler // nil for pictures as they are alone
	pixels  []byte
	done    int
	total   int
	read    int // pictures so far
}

// source runs the model on pictures of one source, on the caller's goroutine. Reading and
// restyling go on beside it.
func (c *calibration) source(ctx context.Context, source Source, places []int) error {
	if len(places) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	views, read := make(chan *data.Picture, 1), make(chan error, 1)
	go func() {
		defer close(views)
		read <- source.Read(ctx, places, func(p *data.Picture) error { return c.send(ctx, p, views) })
	}()
	for view := range views {
		if err := c.observe(view); err != nil {
			cancel()
			<-read // it has been told
			return err
		}
	}
	return <-read
}

// send passes a picture on, and its views.
func (c *calibration) send(ctx context.Context, p *data.Picture, views chan<- *data.Picture) error {
	all := []*data.Picture{p}
	if c.views != nil {
		styled, err := c.views.Of(c.read, p)
		if err != nil {
			return err
		}
		all = append(all, styled...)
	}
	c.read++
	for _, view := range all {
		select {
		case views <- view:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// observe runs the model on one view.
func (c *calibration) observe(p *data.Picture) error {
	if p.Width < 1 || p.Height < 1 || len(p.RGB) != 3*p.Width*p.Height {
		return fmt.Errorf("%d bytes are not %d×%d pixels of three", len(p.RGB), p.Width, p.Height)
	}
	c.pixels = p.BGR(c.pixels)
	if err := c.model.Run(&camera.Frame{Pix: c.pixels, Width: p.Width, Height: p.Height}); err != nil {
		return err
	}
	c.hash.Write(c.model.Pixels())
	if err := c.record(c.model.Output); err != nil {
		return err
	}
	if c.done++; c.options.Progress != nil {
		c.options.Progress(c.done, c.total)
	}
	return nil
}

// Set is a [Source] of pictures of a data set. Labels are not looked at.
type Set struct{ *data.Set }

// Name implements [Source].
func (s Set) Name() string { return s.Set.Name }

// Read implements [Source].
func (s Set) Read(ctx context.Context, places []int, each func(p *data.Picture) error) error {
	for _, i := range places {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := s.Set.Read(i)
		if err == nil {
			err = each(p)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Sample(i).Name, err)
		}
	}
	return nil
}
