package gstlaunch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// packet makes a packet of the GStreamer Data Protocol.
func packet(kind uint16, payload string, pts, offset, offsetEnd uint64) []byte {
	h := make([]byte, headerBytes)
	h[0] = 1
	binary.BigEndian.PutUint16(h[4:], kind)
	binary.BigEndian.PutUint32(h[6:], uint32(len(payload)))
	binary.BigEndian.PutUint64(h[10:], pts)
	binary.BigEndian.PutUint64(h[26:], offset)
	binary.BigEndian.PutUint64(h[34:], offsetEnd)
	return append(h, payload...)
}

const none = 1<<64 - 1

func TestReader(t *testing.T) {
	const event = 64 + 40
	stream := bytes.Join([][]byte{
		packet(event, "GstEventStreamStart;\x00", none, 0, 0),
		packet(typeCaps, "video/x-raw, width=(int)2\x00", 0, 0, 0),
		packet(event, "", none, 0, 0),
		packet(typeBuffer, "abcdef", uint64(time.Second), 7, 8),
		packet(event, string(make([]byte, 2000)), none, 0, 0),
		packet(typeBuffer, "xyz", none, 100, 4196),
		packet(typeBuffer, "", 0, none, none),
	}, nil)
	r := NewReader(bytes.NewReader(stream))
	for i, want := range []Packet{
		{Caps: "video/x-raw, width=(int)2"},
		{Bytes: 6, PTS: time.Second, Number: 7},
		{Bytes: 3, PTS: -1, Number: -1},
		{PTS: 0, Number: -1},
	} {
		got, err := r.Next()
		if err != nil || got != want {
			t.Fatalf("packet %d: %+v, %v; want %+v", i, got, err, want)
		}
		if want.Bytes == 6 { // the rest of it is passed over
			two := make([]byte, 2)
			if err := r.Read(two); err != nil || string(two) != "ab" {
				t.Errorf("Read: %q, %v", two, err)
			}
			if err := r.Read(make([]byte, 5)); err == nil {
				t.Error("Read goes beyond the packet")
			}
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("Next at the end: %v, want io.EOF", err)
	}
	for n := 1; n < len(stream); n++ { // cut anywhere
		r, err := NewReader(bytes.NewReader(stream[:n])), error(nil)
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	version := packet(typeBuffer, "", 0, 0, 0)
	version[0] = 0
	long := packet(typeCaps, "x\x00", 0, 0, 0)
	binary.BigEndian.PutUint32(long[6:], 1<<31)
	huge := packet(typeBuffer, "x", 0, 0, 0)
	binary.BigEndian.PutUint32(huge[6:], 1<<31)
	for name, stream := range map[string][]byte{"version": version, "long caps": long, "empty caps": packet(typeCaps, "", 0, 0, 0), "huge buffer": huge} {
		if p, err := NewReader(bytes.NewReader(stream)).Next(); err == nil {
			t.Errorf("%s: %+v, want an error", name, p)
		}
	}
}

func TestParseVideo(t *testing.T) {
	for caps, want := range map[string]Video{
		"video/x-raw, format=(string)BGR, width=(int)320, height=(int)240, framerate=(fraction)30000/1001": {"BGR", 320, 240, 30000.0 / 1001},
		"video/x-raw, width=(int)2, height=(int)4, framerate=(fraction)0/1, format=(string)I420":           {"I420", 2, 4, 0},
		"video/x-raw,format=(string)BGR,width=(int)2,height=(int)4,framerate=(fraction)1/0":                {"BGR", 2, 4, 0},
		"video/x-raw, format=(string)BGR, max-width=(int)9, width=(int)2, height=(int)4":                   {"BGR", 2, 4, 0},
	} {
		if got, err := ParseVideo(caps); err != nil || got != want {
			t.Errorf("ParseVideo(%q) = %+v, %v; want %+v", caps, got, err, want)
		}
	}
	for _, caps := range []string{"", "audio/x-raw", "video/x-raw, format=(string)BGR, width=(int)2", "video/x-raw, format=(string)BGR, width=(int)99999999999999999999, height=(int)4"} {
		if got, err := ParseVideo(caps); err == nil {
			t.Errorf("ParseVideo(%q) = %+v, want an error", caps, got)
		}
	}
}

func TestFraction(t *testing.T) {
	for fps, want := range map[float64]string{30: "30/1", 7.5: "15/2", 29.97: "2997/100", 0.5: "1/2", 240: "240/1", 1.0 / 3: "333/1000", 0.001: "1/1000", 0.0004: "1/1000"} {
		if got := Fraction(fps); got != want {
			t.Errorf("Fraction(%v) = %s, want %s", fps, got, want)
		}
	}
}

// FuzzReader: no stream makes the reader panic or take much memory.
func FuzzReader(f *testing.F) {
	f.Add(packet(typeBuffer, "abc", 1, 2, 3))
	f.Add(packet(typeCaps, "video/x-raw, format=(string)BGR, width=(int)2, height=(int)2\x00", 0, 0, 0))
	f.Add(append(packet(100, "event\x00", 0, 0, 0), packet(typeBuffer, "", none, none, none)...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		for {
			p, err := r.Next()
			if err != nil {
				return
			}
			if p.Caps != "" {
				_, _ = ParseVideo(p.Caps) // any answer will do
			} else if p.Bytes < 0 || p.PTS < -1 || p.Number < -1 {
				t.Fatalf("packet %+v", p)
			}
		}
	})
}
