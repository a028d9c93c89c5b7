package evaluate

import (
	"context"
	"fmt"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/trt"
)

// Predictor segments pictures. One goroutine may use it at a time.
type Predictor interface {
	// Predict returns the ids of the model's classes at the picture's full size: Height rows
	// of Width. The slice is the caller's. Labels are not looked at.
	Predict(ctx context.Context, p *data.Picture) ([]uint8, error)
}

// framer is a predictor that is scored on pictures of another size than the set's.
type framer interface {
	frame(p *data.Picture) (*data.Picture, error)
}

// Engine is a [Predictor] by a model file. Its masks are scaled to the size of the picture by
// nearest neighbour, as in the accuracies of model cards.
type Engine struct {
	Framing

	engine trt.Engine
	pixels []byte
}

// NewEngine returns a predictor by an engine, which stays the caller's to close.
func NewEngine(engine trt.Engine) *Engine { return &Engine{engine: engine} }

// Predict implements [Predictor]. It ends with ctx between pictures only;
// [trt.Engine.Interrupt] ends it within one.
func (e *Engine) Predict(ctx context.Context, p *data.Picture) ([]uint8, error) {
	result, err := e.Run(ctx, p)
	if err != nil {
		return nil, err
	}
	d := e.engine.Describe()
	return confusion.Resize(result.Mask, d.MaskWidth, d.MaskHeight, p.Width, p.Height)
}

// Run returns all that the model says about a picture, valid until the next call. It ends as
// [Engine.Predict] does.
func (e *Engine) Run(ctx context.Context, p *data.Picture) (trt.Result, error) {
	if err := ctx.Err(); err != nil {
		return trt.Result{}, err
	}
	if err := check(p); err != nil {
		return trt.Result{}, err
	}
	e.pixels = p.BGR(e.pixels)
	return e.engine.Run(&camera.Frame{Pix: e.pixels, Width: p.Width, Height: p.Height})
}

func (e *Engine) frame(p *data.Picture) (*data.Picture, error) { return e.apply(p) }

// check refuses pictures whose pixels do not fit their size.
func check(p *data.Picture) error {
	if p.Width < 1 || p.Height < 1 || len(p.RGB)%3 != 0 || len(p.RGB)/3%p.Width != 0 || len(p.RGB)/3/p.Width != p.Height {
		return fmt.Errorf("segment a picture: %d bytes are not %d×%d pixels of three", len(p.RGB), p.Width, p.Height)
	}
	return nil
}
