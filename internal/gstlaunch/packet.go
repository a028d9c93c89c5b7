package gstlaunch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"time"
)

// Packet is a buffer, or caps that say what the buffers after it hold.
type Packet struct {
	// Caps is the description of the buffers to come; empty for a buffer.
	Caps string
	// Bytes is the size of a buffer, which [Reader.Read] reads.
	Bytes int
	// PTS is the buffer's time in the pipeline, negative if it has none.
	PTS time.Duration
	// Number is the picture's number where the source counts pictures, negative otherwise.
	Number int64
}

// Reader reads packets of the GStreamer Data Protocol, version 1.0, as gdppay makes them
// (gst-plugins-bad, gst/gdp/dataprotocol.c). Events are skipped. After an error it is of no use,
// since it may stand anywhere in a packet.
type Reader struct {
	from   io.Reader
	header [headerBytes]byte
	rest   int64 // of the current packet's payload
	unread [512]byte
}

const (
	headerBytes  = 62
	typeBuffer   = 1
	typeCaps     = 2
	maxCapsBytes = 1 << 16
)

// NewReader makes a reader.
func NewReader(from io.Reader) *Reader { return &Reader{from: from} }

// Next waits for the next packet and passes over what is left of the one before. It returns
// io.EOF at the end between two packets.
func (r *Reader) Next() (Packet, error) {
	for {
		if err := r.discard(); err != nil {
			return Packet{}, err
		}
		if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
			return Packet{}, err
		}
		h := r.header[:]
		if h[0] != 1 {
			return Packet{}, fmt.Errorf("read packet: version %d.%d of the GStreamer Data Protocol, want 1.0", h[0], h[1])
		}
		r.rest = int64(binary.BigEndian.Uint32(h[6:]))
		switch binary.BigEndian.Uint16(h[4:]) {
		case typeBuffer:
			if r.rest > math.MaxInt32 {
				return Packet{}, fmt.Errorf("read packet: buffer of %d bytes", r.rest)
			}
			return Packet{Bytes: int(r.rest), PTS: clockTime(h[10:]), Number: number(h[26:], h[34:])}, nil
		case typeCaps:
			caps, err := r.caps()
			return Packet{Caps: caps}, err
		}
	}
}

func (r *Reader) discard() error {
	for r.rest > 0 {
		if err := r.Read(r.unread[:min(r.rest, int64(len(r.unread)))]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) caps() (string, error) {
	if r.rest < 2 || r.rest > maxCapsBytes {
		return "", fmt.Errorf("read packet: caps of %d bytes", r.rest)
	}
	text := make([]byte, r.rest)
	if err := r.Read(text); err != nil {
		return "", err
	}
	return string(text[:len(text)-1]), nil // without the zero at its end
}

// Read fills p with the next bytes of the buffer that Next returned, and fails if there are
// fewer.
func (r *Reader) Read(p []byte) error {
	if int64(len(p)) > r.rest {
		return fmt.Errorf("read packet: %d bytes wanted of %d", len(p), r.rest)
	}
	r.rest -= int64(len(p))
	_, err := io.ReadFull(r.from, p)
	return noEOF(err)
}

// noEOF tells an end within a packet from one between packets.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// clockTime reads a time in nanoseconds; GStreamer's "none" is all ones.
func clockTime(b []byte) time.Duration {
	ns := binary.BigEndian.Uint64(b)
	if ns > math.MaxInt64 {
		return -1
	}
	return time.Duration(ns)
}

// number takes a buffer's offsets for a picture's number if they count by one. In streams of
// bytes they count bytes.
func number(offset, end []byte) int64 {
	from, to := binary.BigEndian.Uint64(offset), binary.BigEndian.Uint64(end)
	if from >= math.MaxInt64 || to != from+1 {
		return -1
	}
	return int64(from)
}

// Video is what caps say of raw pictures.
type Video struct {
	Format        string // as GStreamer calls it, such as BGR
	Width, Height int
	FPS           float64 // 0 if unknown or variable
}

var (
	capsFormat = regexp.MustCompile(`[ ,]format=\(string\)([A-Za-z0-9_]+)`)
	capsWidth  = regexp.MustCompile(`[ ,]width=\(int\)([0-9]+)`)
	capsHeight = regexp.MustCompile(`[ ,]height=\(int\)([0-9]+)`)
	capsRate   = regexp.MustCompile(`[ ,]framerate=\(fraction\)([0-9]+)/([0-9]+)`)
)

// ParseVideo reads the caps of raw pictures.
func ParseVideo(caps string) (Video, error) {
	format, width, height := capsFormat.FindStringSubmatch(caps), capsWidth.FindStringSubmatch(caps), capsHeight.FindStringSubmatch(caps)
	if format == nil || width == nil || height == nil {
		return Video{}, fmt.Errorf("caps %q are not those of raw pictures", caps)
	}
	v := Video{Format: format[1]}
	var errW, errH error
	v.Width, errW = strconv.Atoi(width[1])
	v.Height, errH = strconv.Atoi(height[1])
	if err := errors.Join(errW, errH); err != nil {
		return Video{}, fmt.Errorf("caps %q: %w", caps, err)
	}
	if rate := capsRate.FindStringSubmatch(caps); rate != nil {
		n, errN := strconv.ParseUint(rate[1], 10, 31)
		d, errD := strconv.ParseUint(rate[2], 10, 31)
		if errN == nil && errD == nil && d > 0 {
			v.FPS = float64(n) / float64(d)
		}
	}
	return v, nil
}

// Fraction writes a rate in pictures per second as caps do, to a thousandth and no less than
// that: in caps, 0 means that the rate changes.
func Fraction(fps float64) string {
	n, d := max(int64(math.Round(fps*1000)), 1), int64(1000)
	a, b := n, d
	for b != 0 {
		a, b = b, a%b
	}
	return fmt.Sprintf("%d/%d", n/a, d/a)
}
