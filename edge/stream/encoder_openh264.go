//go:build openh264

package stream

import (
	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/codec/openh264"
)

// EncoderName names the H.264 library that the program was built with.
func EncoderName() string { return "openh264" }

func encoderBuilder(o EncoderOptions) (codec.VideoEncoderBuilder, error) {
	params, err := openh264.NewParams()
	if err != nil {
		return nil, err
	}
	params.BitRate = o.BitrateKbps * 1000
	params.IntraPeriod = uint(o.keyIntervalFrames())
	return &params, nil
}
