package rtsp

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/robustnet-edge/robustnet/camera/internal/picture"
)

// codec is what this package knows of a video coding that the decoder process reads.
type codec struct {
	name    string // as in camera.Info
	demuxer string // FFmpeg's name of the raw stream
	// delimiter is an access unit delimiter. FFmpeg holds an access unit back until it
	// sees the beginning of the next, so one is sent ahead.
	delimiter []byte
	isKey     func(au [][]byte) bool
	isPicture func(nalu []byte) bool
	isSPS     func(nalu []byte) bool
	parseSize func(sps []byte) (width, height int, fps float64, err error)
}

// codecH264 follows ITU-T H.264 section 7.4.1, table 7-1.
func codecH264() codec {
	kind := func(nalu []byte) h264.NALUType { return h264.NALUType(nalu[0] & 0x1f) }
	return codec{
		name: "H264", demuxer: "h264",
		delimiter: []byte{0, 0, 0, 1, byte(h264.NALUTypeAccessUnitDelimiter), 0xf0},
		isKey:     h264.IsRandomAccess,
		isPicture: func(nalu []byte) bool { k := kind(nalu); return k >= h264.NALUTypeNonIDR && k <= h264.NALUTypeIDR },
		isSPS:     func(nalu []byte) bool { return kind(nalu) == h264.NALUTypeSPS },
		parseSize: func(nalu []byte) (int, int, float64, error) {
			var sps h264.SPS
			if err := sps.Unmarshal(nalu); err != nil {
				return 0, 0, 0, err
			}
			return sps.Width(), sps.Height(), sps.FPS(), nil
		},
	}
}

// codecH265 follows ITU-T H.265 section 7.4.2.2, table 7-1.
func codecH265() codec {
	kind := func(nalu []byte) h265.NALUType { return h265.NALUType(nalu[0] >> 1 & 0x3f) }
	return codec{
		name: "H265", demuxer: "hevc",
		delimiter: []byte{0, 0, 0, 1, byte(h265.NALUType_AUD_NUT) << 1, 1, 0x50},
		isKey:     h265.IsRandomAccess,
		isPicture: func(nalu []byte) bool { return kind(nalu) < h265.NALUType_VPS_NUT },
		isSPS:     func(nalu []byte) bool { return kind(nalu) == h265.NALUType_SPS_NUT },
		parseSize: func(nalu []byte) (int, int, float64, error) {
			var sps h265.SPS
			if err := sps.Unmarshal(nalu); err != nil {
				return 0, 0, 0, err
			}
			return sps.Width(), sps.Height(), sps.FPS(), nil
		},
	}
}

// size reads the picture size and, if it is there, the rate from a sequence parameter set.
func (c codec) size(sps []byte) (width, height int, fps float64, err error) {
	width, height, fps, err = c.parseSize(sps)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("%s stream has a bad sequence parameter set: %w", c.name, err)
	}
	if err := picture.CheckSize(width, height); err != nil {
		return 0, 0, 0, fmt.Errorf("%s stream has a picture that cannot be decoded: %w", c.name, err)
	}
	return width, height, fps, nil
}

// findSPS returns the last sequence parameter set of an access unit, or nil.
func (c codec) findSPS(au [][]byte) []byte {
	var sps []byte
	for _, nalu := range au {
		if c.isSPS(nalu) {
			sps = nalu
		}
	}
	return sps
}

func (c codec) hasPicture(au [][]byte) bool {
	for _, nalu := range au {
		if c.isPicture(nalu) {
			return true
		}
	}
	return false
}

// withoutEmpty drops NAL units of no length, which a broken camera may send.
func withoutEmpty(au [][]byte) [][]byte {
	kept := au[:0]
	for _, nalu := range au {
		if len(nalu) > 0 {
			kept = append(kept, nalu)
		}
	}
	return kept
}
