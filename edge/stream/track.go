package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

const (
	rtpClockHz     = 90000 // RFC 6184, 8.2.1
	rtpPayloadType = 96    // the first dynamic one, RFC 3551, 6
	// rtpPayloadBytes keeps a packet with its RTP (12), UDP (8) and IPv6 (40) headers
	// below an Ethernet frame's 1500 bytes with room for a tunnel.
	rtpPayloadBytes = 1400
)

// track is the stream at one picture size: its description, its readers and its packets.
type track struct {
	width, height int
	format        *format.H264
	media         *description.Media
	packetizer    *rtph264.Encoder
	stream        *gortsplib.ServerStream // nil until open
}

func newTrack(sps, pps []byte, width, height int) (*track, error) {
	var parsed h264.SPS
	if len(sps) == 0 || len(pps) == 0 {
		return nil, fmt.Errorf("rtsp: set format: parameter sets of %d and %d bytes, want both", len(sps), len(pps))
	}
	if err := parsed.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("rtsp: set format: sequence parameter set: %w", err)
	}
	if parsed.Width() != width || parsed.Height() != height {
		return nil, fmt.Errorf("rtsp: set format: told %d×%d pixels, the sequence parameter set says %d×%d",
			width, height, parsed.Width(), parsed.Height())
	}
	t := &track{
		width: width, height: height,
		format: &format.H264{
			PayloadTyp: rtpPayloadType, PacketizationMode: 1,
			SPS: bytes.Clone(sps), PPS: bytes.Clone(pps),
		},
		packetizer: &rtph264.Encoder{
			PayloadType: rtpPayloadType, PacketizationMode: 1, PayloadMaxSize: rtpPayloadBytes,
		},
	}
	if err := t.packetizer.Init(); err != nil {
		return nil, fmt.Errorf("rtsp: set format: %w", err)
	}
	t.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{t.format}}
	return t, nil
}

// has tells whether the track was made for this format.
func (t *track) has(sps, pps []byte, width, height int) bool {
	ownSPS, ownPPS := t.format.SafeParams()
	return t.width == width && t.height == height && bytes.Equal(ownSPS, sps) && bytes.Equal(ownPPS, pps)
}

// open makes the track playable on a started server.
func (t *track) open(server *gortsplib.Server) error {
	t.stream = &gortsplib.ServerStream{
		Server: server,
		Desc:   &description.Session{Title: "RobustNet overlay", Medias: []*description.Media{t.media}},
	}
	if err := t.stream.Initialize(); err != nil {
		return fmt.Errorf("rtsp: open the stream: %w", err)
	}
	return nil
}

// close ends the track's sessions. It must not be called under a lock that a handler takes.
func (t *track) close() {
	if t.stream != nil {
		t.stream.Close()
	}
}

func (t *track) bytesSent() uint64 {
	if t.stream == nil {
		return 0
	}
	return t.stream.Stats().BytesSent
}

func (t *track) write(nalus [][]byte, timestamp uint32, captured time.Time) error {
	packets, err := t.packetizer.Encode(nalus)
	if err != nil {
		return fmt.Errorf("rtsp: packetize an access unit of %d NAL units: %w", len(nalus), err)
	}
	for _, packet := range packets {
		packet.Timestamp = timestamp
		if err := t.stream.WritePacketRTPWithNTP(t.media, packet, captured); err != nil {
			return fmt.Errorf("rtsp: send: %w", err)
		}
	}
	return nil
}

// rtpClock turns capture times into RTP timestamps (RFC 3550, 5.1): 90 kHz from a random
// origin, strictly increasing even where capture times do not.
type rtpClock struct {
	origin uint32
	start  time.Time
	last   int64 // ticks since start
}

func newRTPClock() rtpClock { return rtpClock{origin: rand.Uint32(), last: -1} }

func (c *rtpClock) at(captured time.Time) uint32 {
	if c.start.IsZero() {
		c.start = captured
	}
	c.last = max(c.last+1, ticks(captured.Sub(c.start)))
	return c.origin + uint32(c.last)
}

// ticks converts a duration to periods of the 90 kHz clock, rounding down.
func ticks(d time.Duration) int64 {
	const perTick = time.Second / 10000 // nine ticks
	return int64(d/perTick)*9 + int64(d%perTick)*9/int64(perTick)
}
