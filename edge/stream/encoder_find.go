package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch"
)

// EncoderFactory makes encoders of one kind. [FindEncoder] and [BuiltIn] return one.
type EncoderFactory struct {
	name string
	open func(EncoderOptions) (backend, error)
	kind encoder.Kind
	note string
}

// BuiltIn makes encoders of the library that the program was built with.
func BuiltIn() EncoderFactory {
	return EncoderFactory{name: EncoderName(), open: openLibrary, kind: encoder.Kind(EncoderName())}
}

// Name names the encoder for people: "x264", "gst nvv4l2h264enc".
func (f EncoderFactory) Name() string { return f.name }

// Kind is the kind of encoder, never [encoder.Auto].
func (f EncoderFactory) Kind() encoder.Kind { return f.kind }

// Note says why an encoder that would have been preferred was passed over; empty if none was.
func (f EncoderFactory) Note() string { return f.note }

// New makes an encoder that the caller must Close.
func (f EncoderFactory) New(o EncoderOptions) (*Encoder, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	b, err := f.open(o)
	if err != nil {
		return nil, fmt.Errorf("stream: open %s for %d×%d pixels at %d kbit/s: %w",
			f.name, o.Width, o.Height, o.BitrateKbps, err)
	}
	return &Encoder{options: o, name: f.name, backend: b}, nil
}

// element is an H.264 encoder of GStreamer's.
type element struct {
	name string
	// pipeline goes from raw I420 pictures to H.264.
	pipeline func(EncoderOptions) string
}

// nvidia is the hardware encoder of Jetson Orin NX and AGX. Orin Nano has the element, but no
// such hardware.
func nvidia() element {
	return element{"nvv4l2h264enc", func(o EncoderOptions) string {
		n := o.keyIntervalFrames()
		return fmt.Sprintf("nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! nvv4l2h264enc control-rate=1 bitrate=%d "+
			"iframeinterval=%d idrinterval=%d insert-sps-pps=true preset-level=1 maxperf-enable=true", o.BitrateKbps*1000, n, n)
	}}
}

// software is the library x264 as an element.
func software() element {
	return element{"x264enc", func(o EncoderOptions) string {
		return fmt.Sprintf("x264enc tune=zerolatency speed-preset=ultrafast bitrate=%d key-int-max=%d aud=false",
			o.BitrateKbps, o.keyIntervalFrames())
	}}
}

func (e element) factory() EncoderFactory {
	return EncoderFactory{name: "gst " + e.name, kind: encoder.GStreamer, open: func(o EncoderOptions) (backend, error) {
		return openPipeline(o, e.pipeline(o))
	}}
}

// probeLimit is how long an element may take to prove that it works. On the first run,
// GStreamer looks at all its plug-ins.
const probeLimit = 8 * time.Second

// FindEncoder looks for an encoder of a kind on this machine:
//
//   - auto takes NVIDIA's hardware encoder (nvv4l2h264enc), if it works, and else the library;
//   - x264 and openh264 are the library that the program was built with, or an error;
//   - gst takes NVIDIA's encoder, if it works, and else x264enc.
//
// If pipeline is not empty, gst takes these elements instead, which must make H.264 of raw
// pictures; bit rate and key frames are theirs then. FindEncoder runs a short pipeline to see what
// works.
func FindEncoder(ctx context.Context, kind encoder.Kind, pipeline string) (EncoderFactory, error) {
	switch kind {
	case encoder.X264, encoder.OpenH264:
		if string(kind) != EncoderName() {
			return EncoderFactory{}, fmt.Errorf("encoder %s is not in this program, which was built with %s; choose --encoder %s or auto, "+
				"or build with TAGS=%s", kind, EncoderName(), EncoderName(), buildTag(kind))
		}
		return BuiltIn(), nil
	case encoder.GStreamer:
		return findPipeline(ctx, pipeline)
	case encoder.Auto:
		absent, err := proves(ctx, nvidia())
		switch {
		case ctx.Err() != nil:
			return EncoderFactory{}, ctx.Err()
		case err == nil:
			return nvidia().factory(), nil
		}
		f := BuiltIn()
		if !absent {
			f.note = err.Error()
		}
		return f, nil
	}
	return EncoderFactory{}, fmt.Errorf("encoder %q is unknown; choose one of %v", kind, encoder.All())
}

// buildTag is what builds a program with a library.
func buildTag(kind encoder.Kind) string {
	if kind == encoder.OpenH264 {
		return "openh264"
	}
	return "''"
}

// findPipeline looks for an encoder of GStreamer's.
func findPipeline(ctx context.Context, pipeline string) (EncoderFactory, error) {
	const without = "; choose --encoder auto to do without GStreamer"
	if pipeline != "" {
		custom := element{name: "pipeline", pipeline: func(EncoderOptions) string { return "videoconvert ! " + pipeline }}
		if err := try(ctx, custom); err != nil {
			return EncoderFactory{}, fmt.Errorf("encoder pipeline %q does not work: %w%s", pipeline, err, without)
		}
		return custom.factory(), nil
	}
	var failures []string
	for _, e := range []element{nvidia(), software()} {
		absent, err := proves(ctx, e)
		switch {
		case ctx.Err() != nil:
			return EncoderFactory{}, ctx.Err()
		case err == nil:
			f := e.factory()
			f.note = strings.Join(failures, "; ")
			return f, nil
		case !absent || e.name == software().name: // that the hardware is not there says nothing
			failures = append(failures, err.Error())
		}
	}
	return EncoderFactory{}, fmt.Errorf("no encoder of GStreamer works here: %s%s", strings.Join(failures, "; "), without)
}

// proves says why an element cannot be used, and whether that is because the element, or all of
// GStreamer, is not there.
func proves(ctx context.Context, e element) (absent bool, err error) {
	found, err := gstlaunch.Has(ctx, e.name)
	if err != nil {
		return errors.Is(err, gstlaunch.ErrUnusable), err
	}
	if !found {
		return true, fmt.Errorf("GStreamer has no element %s", gstlaunch.NoElement(e.name))
	}
	if err := try(ctx, e); err != nil {
		return false, fmt.Errorf("%s does not work: %w", e.name, err)
	}
	return false, nil
}

// try encodes a few small pictures.
func try(ctx context.Context, e element) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	o := EncoderOptions{Width: 320, Height: 240, FPS: 30, BitrateKbps: 1000, KeyInterval: time.Second}
	return gstlaunch.Try(ctx, fmt.Sprintf("videotestsrc num-buffers=3 ! video/x-raw,format=I420,width=%d,height=%d,framerate=30/1 ! %s ! h264parse ! gdppay ! fakesink",
		o.Width, o.Height, e.pipeline(o)))
}
