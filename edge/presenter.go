package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync/atomic"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/edge/view"
)

// presenter draws, encodes and writes. It belongs to one goroutine.
type presenter struct {
	p        *pipeline
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
// be written is reported at once. Masks without names take the next of numbers.
func (p *pipeline) newPresenter(ctx context.Context, numbers *atomic.Uint64) (*presenter, error) {
	made := &presenter{p: p}
	out := p.config.Output
	if p.stream != nil || out.Video != "" {
		var err error
		c := p.config.Stream
		if made.encoder, err = newCompressor(ctx, c.Encoder, c.EncoderPipeline, p.log); err != nil {
			return nil, err
		}
	}
	if out.Masks != "" {
		var err error
		if made.masks, err = newMaskWriter(out.Masks, p.network.Describe(), numbers); err != nil {
			return nil, err
		}
	}
	if out.Video != "" {
		var err error
		if made.recorder, err = stream.NewRecorder(out.Video, stream.RecorderOptions{}); err != nil {
			return nil, err
		}
		if kept := made.recorder.Recovered(); kept != "" {
			p.log.Warn().Str("kept_as", kept).Msg("found an interrupted recording")
		}
	}
	return made, nil
}

// close completes the files and frees the native parts. It is idempotent.
func (r *presenter) close() error {
	var errs []error
	if r.recorder != nil {
		errs = append(errs, r.recorder.Close())
	}
	if r.encoder != nil {
		errs = append(errs, r.encoder.close())
	}
	if r.renderer != nil {
		errs = append(errs, r.renderer.Close())
	}
	return errors.Join(errs...)
}

// present shows one shot after the other until the source or ctx ends, or the configured
// number of frames is reached.
func (p *pipeline) present(ctx context.Context) error {
	for {
		s, err := p.shots.Take(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errFinished // the source ended and its last frame was shown
		}
		p.pulse.within(presenting, presentSlack)
		if err := p.presenter.show(s); err != nil {
			s.Release()
			if ctx.Err() != nil && errors.Is(err, stream.ErrEncoderLost) {
				return nil // interrupted
			}
			return err
		}
		p.latest.put(s)
		p.presenter.shown++
		p.pulse.rests(presenting)
		p.feed.shown.Add(1)
		if p.reached(p.config.Output.Frames) {
			return errFinished
		}
	}
}

// show does everything that becomes of one frame, and leaves s to the caller.
func (r *presenter) show(s *shot) error {
	p := r.p
	if r.masks != nil {
		if err := r.masks.write(s); err != nil {
			return err
		}
		p.written.masks.Add(1)
	}
	if r.renderer == nil {
		if err := r.prepare(s); err != nil {
			return err
		}
	}
	if r.wanted() {
		if err := r.encode(s); err != nil {
			return err
		}
	}
	age := time.Since(s.frame.Captured)
	p.metrics.ObserveFrameAge(age)
	p.metrics.ClassRatios(s.ratios)
	p.figures.add(s.infer, age, p.dropped())
	return nil
}

// wanted says whether there is anyone to draw and encode for; if not, the processor is left
// to the network. The first picture is always made, because players are told the parameter
// sets in it before they ask for pictures.
func (r *presenter) wanted() bool {
	rtsp := r.p.stream
	return r.recorder != nil || rtsp != nil && (!r.announced || rtsp.Viewers() > 0)
}

// prepare sets up drawing and encoding at the size of the first frame, or at that which
// players have been told already. Later frames of another size, when a camera comes back in
// another mode, are scaled to it, so that viewers and files go on.
func (r *presenter) prepare(s *shot) error {
	p := r.p
	r.first = s.frame.Captured
	o := overlayOptions(p.config.Overlay, p.network, s.frame)
	shows := p.config.Overlay.Visualize
	if p.stream != nil && p.stream.Viewers() > 0 && p.encoded.view == shows {
		o.Width, o.Height = p.encoded.pane.X, p.encoded.pane.Y
	}
	var err error
	if r.renderer, err = overlay.NewRenderer(o); err != nil {
		return err
	}
	if r.recorder == nil && p.stream == nil {
		return nil
	}
	p.encoded = encodedAs{view: shows, pane: image.Pt(o.Width, o.Height)}
	r.picture = p.encoded.pane
	if shows == view.SideBySide {
		r.picture.X *= 2
	}
	return r.openEncoder(expectedFPS(p.camera.info(), s))
}

// openEncoder begins a new H.264 stream for pictures at the given rate.
func (r *presenter) openEncoder(fps float64) error {
	c := r.p.config.Stream
	r.rate = rateWatch{assumed: fps}
	return r.encoder.open(stream.EncoderOptions{
		Width:       r.picture.X,
		Height:      r.picture.Y,
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

func (r *presenter) draw(s *shot) (*overlay.Picture, error) {
	figures := r.p.figures.onPicture()
	r.p.machine.onPicture(&figures)
	return r.renderer.Draw(s.frame, s.mask, r.p.config.Overlay.Visualize, figures)
}

// encode draws the frame, compresses it and hands it to the viewers and the file.
func (r *presenter) encode(s *shot) error {
	p := r.p
	start := time.Now()
	picture, err := r.draw(s)
	if err != nil {
		return err
	}
	drawn := time.Now()
	if fps, wrong := r.rate.add(drawn); wrong && p.camera.live() {
		if err := r.openEncoder(fps); err != nil {
			return err
		}
	}
	key := p.stream != nil && p.stream.TakeKeyRequest()
	au, err := r.encoder.encode(picture.I420(), key)
	if err != nil {
		return err
	}
	encoded := time.Now()
	p.metrics.ObserveStage(metrics.Overlay, drawn.Sub(start))
	p.metrics.ObserveStage(metrics.Encode, encoded.Sub(drawn))
	p.figures.addOverhead(encoded.Sub(s.frame.Captured) - s.infer)
	if len(au.NALUs) == 0 {
		p.metrics.Dropped(metrics.DropEncode, 1) // the encoder left it out to keep its rate
		return nil
	}
	if r.recorder != nil {
		if err := r.recorder.Write(au, r.mediaTime(s.frame)); err != nil {
			return err
		}
		p.written.video.Add(1)
	}
	return r.serve(au, picture, s.frame)
}

// serve hands an access unit to the RTSP server, if there is one.
func (r *presenter) serve(au stream.AccessUnit, picture *overlay.Picture, f *camera.Frame) error {
	rtsp := r.p.stream
	if rtsp == nil {
		return nil
	}
	if sps, pps := au.ParameterSets(); sps != nil && pps != nil {
		r.announced = true
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
func (r *presenter) mediaTime(f *camera.Frame) time.Duration {
	if r.p.camera.live() {
		return f.Captured.Sub(r.first)
	}
	return f.PTS
}
