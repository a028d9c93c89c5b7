package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/edge/view"
)

// presenter draws, encodes and writes. It belongs to one goroutine.
type presenter struct {
	d        *Daemon
	renderer *overlay.Renderer // nil until the first frame tells the size
	encoder  *compressor       // nil when nothing is encoded
	recorder *stream.Recorder  // nil when off
	masks    *maskWriter       // nil when off

	picture   image.Point // size of what is encoded
	rate      rateWatch
	shown     int
	first     time.Time // capture time of the first frame
	announced bool      // players can be told the stream's format
}

// newPresenter finds the encoder and opens the output files, so that what is missing or cannot
// be written is reported at once.
func (d *Daemon) newPresenter(ctx context.Context) (*presenter, error) {
	p := &presenter{d: d}
	out := d.o.Config.Output
	if d.rtsp != nil || out.Video != "" {
		var err error
		c := d.o.Config.Stream
		if p.encoder, err = newCompressor(ctx, c.Encoder, c.EncoderPipeline, d.o.Log); err != nil {
			return nil, err
		}
		d.encoder = p.encoder
	}
	if out.Masks != "" {
		var err error
		if p.masks, err = newMaskWriter(out.Masks, d.o.Engine.Describe()); err != nil {
			return nil, err
		}
	}
	if out.Video != "" {
		var err error
		if p.recorder, err = stream.NewRecorder(out.Video, stream.RecorderOptions{}); err != nil {
			return nil, err
		}
		if kept := p.recorder.Recovered(); kept != "" {
			d.o.Log.Warn().Str("kept_as", kept).Msg("found an interrupted recording")
		}
	}
	return p, nil
}

// close completes the files and frees the native parts. It is idempotent.
func (p *presenter) close() error {
	var errs []error
	if p.recorder != nil {
		errs = append(errs, p.recorder.Close())
	}
	if p.encoder != nil {
		errs = append(errs, p.encoder.close())
	}
	if p.renderer != nil {
		errs = append(errs, p.renderer.Close())
	}
	return errors.Join(errs...)
}

// present shows one shot after the other until the source or ctx ends, or the configured
// number of frames is reached.
func (d *Daemon) present(ctx context.Context, p *presenter) error {
	for {
		s, err := d.shots.Take(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errFinished // the source ended and its last frame was shown
		}
		if err := p.show(s); err != nil {
			s.Release()
			if ctx.Err() != nil && errors.Is(err, stream.ErrEncoderLost) {
				return nil // interrupted
			}
			return err
		}
		d.latest.put(s)
		p.shown++
		if limit := d.o.Config.Output.Frames; limit > 0 && p.shown >= limit {
			return errFinished
		}
	}
}

// show does everything that becomes of one frame, and leaves s to the caller.
func (p *presenter) show(s *shot) error {
	d := p.d
	if p.masks != nil {
		if err := p.masks.write(s); err != nil {
			return err
		}
		d.written.masks.Add(1)
	}
	if p.renderer == nil {
		if err := p.prepare(s); err != nil {
			return err
		}
	}
	if p.wanted() {
		if err := p.encode(s); err != nil {
			return err
		}
	}
	age := time.Since(s.frame.Captured)
	d.metrics.ObserveFrameAge(age)
	d.metrics.ClassRatios(s.ratios)
	d.figures.add(s.infer, age, d.dropped())
	return nil
}

// wanted says whether there is anyone to draw and encode for; if not, the processor is left
// to the network. The first picture is always made, because players are told the parameter
// sets in it before they ask for pictures.
func (p *presenter) wanted() bool {
	rtsp := p.d.rtsp
	return p.recorder != nil || rtsp != nil && (!p.announced || rtsp.Viewers() > 0)
}

// prepare sets up drawing and encoding at the size of the first frame. Later frames of
// another size, when a camera comes back in another mode, are scaled to it, so that
// viewers and files go on.
func (p *presenter) prepare(s *shot) error {
	d := p.d
	p.first = s.frame.Captured
	o := overlayOptions(d.o.Config.Overlay, d.o.Engine, s.frame)
	var err error
	if p.renderer, err = overlay.NewRenderer(o); err != nil {
		return err
	}
	if p.recorder == nil && d.rtsp == nil {
		return nil
	}
	p.picture = image.Pt(o.Width, o.Height)
	if d.o.Config.Overlay.Visualize == view.SideBySide {
		p.picture.X *= 2
	}
	return p.openEncoder(expectedFPS(d.camera.info(), s))
}

// openEncoder begins a new H.264 stream for pictures at the given rate.
func (p *presenter) openEncoder(fps float64) error {
	c := p.d.o.Config.Stream
	p.rate = rateWatch{assumed: fps}
	return p.encoder.open(stream.EncoderOptions{
		Width:       p.picture.X,
		Height:      p.picture.Y,
		FPS:         fps,
		BitrateKbps: c.BitrateKbps,
		KeyInterval: c.KeyInterval,
	})
}

// defaultFPS is assumed of sources that do not know their rate.
const defaultFPS = 25

// expectedFPS is the rate at which pictures will come: the camera's, or the network's if
// that is slower and may drop frames.
func expectedFPS(info camera.Info, s *shot) float64 {
	fps := info.FPS
	if fps <= 0 {
		fps = defaultFPS
	}
	if info.Live {
		fps = min(fps, 1/(s.preprocess+s.infer).Seconds())
	}
	return min(max(fps, 1), 240)
}

func (p *presenter) draw(s *shot) (*overlay.Picture, error) {
	figures := p.d.figures.onPicture()
	p.d.machine.onPicture(&figures)
	return p.renderer.Draw(s.frame, s.mask, p.d.o.Config.Overlay.Visualize, figures)
}

// encode draws the frame, compresses it and hands it to the viewers and the file.
func (p *presenter) encode(s *shot) error {
	d := p.d
	start := time.Now()
	picture, err := p.draw(s)
	if err != nil {
		return err
	}
	drawn := time.Now()
	if fps, wrong := p.rate.add(drawn); wrong && d.camera.live() {
		if err := p.openEncoder(fps); err != nil {
			return err
		}
	}
	key := d.rtsp != nil && d.rtsp.TakeKeyRequest()
	au, err := p.encoder.encode(picture.I420(), key)
	if err != nil {
		return err
	}
	encoded := time.Now()
	d.metrics.ObserveStage(metrics.Overlay, drawn.Sub(start))
	d.metrics.ObserveStage(metrics.Encode, encoded.Sub(drawn))
	d.figures.addOverhead(encoded.Sub(s.frame.Captured) - s.infer)
	if len(au.NALUs) == 0 {
		d.metrics.Dropped(metrics.DropEncode, 1) // the encoder left it out to keep its rate
		return nil
	}
	if p.recorder != nil {
		if err := p.recorder.Write(au, p.mediaTime(s.frame)); err != nil {
			return err
		}
		d.written.video.Add(1)
	}
	return p.serve(au, picture, s.frame)
}

// serve hands an access unit to the RTSP server, if there is one.
func (p *presenter) serve(au stream.AccessUnit, picture *overlay.Picture, f *camera.Frame) error {
	rtsp := p.d.rtsp
	if rtsp == nil {
		return nil
	}
	if sps, pps := au.ParameterSets(); sps != nil && pps != nil {
		p.announced = true
		if err := rtsp.SetFormat(sps, pps, picture.Width, picture.Height); err != nil {
			return err
		}
	}
	if err := rtsp.Write(au, f.Captured); err != nil {
		return fmt.Errorf("stream frame %d: %w", f.Seq, err)
	}
	return nil
}

// mediaTime is the frame's place in a recording: by the clock for live cameras, so that
// faults of the camera leave gaps and not jumps, by the source's own time otherwise.
func (p *presenter) mediaTime(f *camera.Frame) time.Duration {
	if p.d.camera.live() {
		return f.Captured.Sub(p.first)
	}
	return f.PTS
}
