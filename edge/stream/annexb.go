package stream

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// startCode is what every NAL unit in a byte stream is preceded by (ITU-T H.264, B.1.1).
// Zero bytes before it belong to no NAL unit.
var startCode = []byte{0, 0, 1}

// splitAnnexB appends the NAL units of the byte stream to nalus. They share its memory.
// Bytes before the first start code are skipped, as a decoder skips them.
func splitAnnexB(nalus [][]byte, stream []byte) [][]byte {
	begin := bytes.Index(stream, startCode)
	if begin < 0 {
		return nalus
	}
	rest := stream[begin+len(startCode):]
	for len(rest) > 0 {
		nalu := rest
		if end := bytes.Index(rest, startCode); end >= 0 {
			nalu, rest = rest[:end], rest[end+len(startCode):]
		} else {
			rest = nil
		}
		// A NAL unit never ends in a zero byte: these are padding (trailing_zero_8bits)
		// or the first byte of a four-byte start code.
		if nalu = bytes.TrimRight(nalu, "\x00"); len(nalu) > 0 {
			nalus = append(nalus, nalu)
		}
	}
	return nalus
}

// withoutDelimiter drops the access unit delimiter with which a stream begins, as some encoders
// make it. It says nothing where access units are kept apart.
func withoutDelimiter(stream []byte) []byte {
	begin := bytes.Index(stream, startCode)
	if begin < 0 || begin+len(startCode) == len(stream) {
		return stream
	}
	rest := stream[begin+len(startCode):]
	if naluType(rest) != h264.NALUTypeAccessUnitDelimiter {
		return stream
	}
	next := bytes.Index(rest, startCode)
	if next < 0 {
		return nil
	}
	if rest[next-1] == 0 { // the first byte of a four-byte start code
		next--
	}
	return rest[next:]
}

// naluType reads the type from a NAL unit's first byte.
func naluType(nalu []byte) h264.NALUType {
	return h264.NALUType(nalu[0] & 0x1f)
}
