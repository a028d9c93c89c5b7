//go:build !openh264

package stream

import (
	"math"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/codec/x264"
)

// x264AssumedFPS is the frame rate by which x264 turns a bit rate into a budget per
// picture when it is told none; mediadevices never tells it one.
const x264AssumedFPS = 25

// EncoderName names the H.264 library that the program was built with.
func EncoderName() string { return "x264" }

func encoderBuilder(o EncoderOptions) (codec.VideoEncoderBuilder, error) {
	params, err := x264.NewParams()
	if err != nil {
		return nil, err
	}
	// mediadevices leaves x264's log level at info: two lines on standard error when an
	// encoder opens and eight when it closes, none per picture.
	params.Preset = x264.PresetUltrafast
	bitsPerSecond := float64(o.BitrateKbps) * 1000 * x264AssumedFPS / o.FPS
	params.BitRate = int(min(max(bitsPerSecond, 1000), math.MaxInt32))
	params.KeyFrameInterval = o.keyIntervalFrames()
	return &params, nil
}
