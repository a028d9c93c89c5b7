package edge

import (
	"context"
	"errors"
	"image"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/edge/stream"
)

const (
	// healthyEncoder is how long ago an encoder that has made a picture must have begun for its
	// failure to be an accident, after which it is begun anew.
	healthyEncoder = 10 * time.Second
	// encoderGrace is how long a stop waits for the picture that is being encoded. It stays
	// below the two seconds within which the daemon stops.
	encoderGrace = time.Second
)

// compressor keeps an encoder going, whose process may fail. It belongs to the presenter's
// goroutine, but for interrupt and name.
type compressor struct {
	log     zerolog.Logger
	factory stream.EncoderFactory
	// spare says that the library may take over from an encoder that fails.
	spare bool

	options  stream.EncoderOptions
	encoder  atomic.Pointer[stream.Encoder] // nil before the first open
	began    time.Time
	worked   bool // has made a picture since it began
	stopping atomic.Bool
	label    atomic.Pointer[string]
}

// newCompressor finds the encoder that was asked for.
func newCompressor(ctx context.Context, kind encoder.Kind, pipeline string, log zerolog.Logger) (*compressor, error) {
	f, err := stream.FindEncoder(ctx, kind, pipeline)
	if err != nil {
		return nil, err
	}
	c := &compressor{log: log, spare: kind == encoder.Auto && f.Kind() == encoder.GStreamer}
	c.use(f)
	return c, nil
}

func (c *compressor) use(f stream.EncoderFactory) {
	c.factory = f
	name := f.Name()
	c.label.Store(&name)
}

// name is the encoder's name for people. Any goroutine may ask.
func (c *compressor) name() string { return *c.label.Load() }

// tell logs which encoder was found.
func (c *compressor) tell() {
	if note := c.factory.Note(); note != "" {
		c.log.Warn().Str("encoder", c.name()).Str("reason", note).Msg("hardware encoder is not used")
		return
	}
	c.log.Info().Str("encoder", c.name()).Msg("encoder chosen")
}

// open begins a new stream, in place of the one before.
func (c *compressor) open(o stream.EncoderOptions) error {
	if err := c.close(); err != nil {
		return err
	}
	e, err := c.factory.New(o)
	if err != nil && c.spare {
		c.fallBack(err)
		e, err = c.factory.New(o)
	}
	if err != nil {
		return err
	}
	c.options, c.began, c.worked = o, time.Now(), false
	c.encoder.Store(e)
	if c.stopping.Load() { // interrupt may have met the one before
		e.Interrupt()
	}
	return nil
}

// encode compresses a picture. If the encoder's process fails, it is begun anew with this
// picture; if it fails again soon, or without a picture, the library takes over where it may.
func (c *compressor) encode(img *image.YCbCr, key bool) (stream.AccessUnit, error) {
	for {
		au, err := c.encoder.Load().Encode(img, key)
		c.worked = c.worked || err == nil
		if !errors.Is(err, stream.ErrEncoderLost) || c.stopping.Load() {
			return au, err
		}
		switch {
		case c.worked && time.Since(c.began) >= healthyEncoder:
			c.log.Warn().Err(err).Str("encoder", c.name()).Msg("encoder begins anew")
			c.began, c.worked = time.Now(), false
		case c.spare:
			c.fallBack(err)
			if err := c.open(c.options); err != nil {
				return au, err
			}
		default:
			return au, err
		}
	}
}

func (c *compressor) fallBack(err error) {
	c.spare = false
	failed := c.name()
	c.use(stream.BuiltIn())
	c.log.Warn().Err(err).Str("failed", failed).Str("encoder", c.name()).Msg("another encoder takes over")
}

// interrupt makes an encode that waits for a process return soon, with an error.
func (c *compressor) interrupt() {
	c.stopping.Store(true)
	if e := c.encoder.Load(); e != nil {
		e.Interrupt()
	}
}

// interruptWhen interrupts an encode that still waits a while after ctx has ended. It returns
// how to let that be.
func (c *compressor) interruptWhen(ctx context.Context) (release func()) {
	released := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(encoderGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			c.interrupt()
		case <-released:
		}
	})
	return func() { stop(); close(released) }
}

// close ends the encoder. It is idempotent.
func (c *compressor) close() error {
	if e := c.encoder.Swap(nil); e != nil {
		return e.Close()
	}
	return nil
}
