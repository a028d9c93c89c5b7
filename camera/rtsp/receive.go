package rtsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/internal/picture"
)

const (
	// maxQueued is how many access units may wait for the decoder, about a second.
	maxQueued = 32
	// maxBadJPEGs is how many JPEGs in a row may be undecodable.
	maxBadJPEGs = 10
)

// What a camera may lack, for the error of Open.
const (
	noKeyFrame = "camera sends pictures but no key frame (IDR), with which decoding begins; " +
		"set a shorter key frame interval (GOP, I-frame interval) in the camera, or allow more time"
	noParameters = "camera sends key frames without parameter sets (SPS), which decoding needs; " +
		"choose another stream or profile in its settings"
)

// arrival dates the picture that is being put together from packets.
type arrival struct {
	rate  time.Duration // of the stream's clock, in hertz
	first time.Time     // of the picture's first packet; zero between pictures
	// The 32-bit clock, carried on beyond its end (RFC 3550 section 5.1).
	started bool
	clock   uint32
	ticks   int64
}

func newArrival(f format.Format) *arrival {
	return &arrival{rate: time.Duration(max(f.ClockRate(), 1))}
}

// packet notes that a packet of the current picture has come.
func (a *arrival) packet() {
	if a.first.IsZero() {
		a.first = time.Now()
	}
}

// lost gives the current picture up.
func (a *arrival) lost() { a.first = time.Time{} }

// picture ends the current picture, whose last packet is given. The first one is at zero.
func (a *arrival) picture(pkt *rtp.Packet) stamp {
	if a.started {
		a.ticks += int64(int32(pkt.Timestamp - a.clock)) // pictures may be out of order
	}
	a.started, a.clock = true, pkt.Timestamp
	rate := int64(a.rate)
	s := stamp{
		arrived: a.first,
		pts:     time.Duration(a.ticks/rate)*time.Second + time.Duration(a.ticks%rate)*time.Second/a.rate,
	}
	a.first = time.Time{}
	return s
}

// unit is an access unit on its way to the decoder.
type unit struct {
	nalus [][]byte
	stamp stamp
}

// unitDecoder puts access units together from RTP packets.
type unitDecoder interface {
	Decode(*rtp.Packet) ([][]byte, error)
}

// receiveCoded sets up H.264 and H.265. The parameter sets of the session description are
// put before the first key frame; they may be empty.
func (s *source) receiveCoded(m *description.Media, f format.Format, c codec, rtpDecoder unitDecoder, params [][]byte) (stream, error) {
	ffmpeg, err := findFFmpeg()
	if err != nil {
		return stream{}, err
	}
	units := make(chan unit, maxQueued)
	s.wg.Go(func() { s.decode(ffmpeg, c, withoutEmpty(params), units) })
	a := newArrival(f)
	waiting := true // for a key frame
	giveUp := func() {
		a.lost()
		if a.started { // before the first key frame, nothing could be decoded
			s.Skipped.Add(1)
		}
	}
	onPacket := func(pkt *rtp.Packet) {
		a.packet()
		au, err := rtpDecoder.Decode(pkt)
		if err != nil {
			if pkt.Marker {
				giveUp()
			}
			return
		}
		au = withoutEmpty(au)
		if waiting && !c.isKey(au) {
			if !a.started {
				s.obstacle.Store(noKeyFrame)
			}
			giveUp()
			return
		}
		u := unit{nalus: au, stamp: a.picture(pkt)}
		select {
		case units <- u:
			waiting = false
		default: // the decoder is too slow: catch up at the next key frame
			waiting = true
			s.Skipped.Add(1)
		}
	}
	return stream{media: m, format: f, onPacket: onPacket}, nil
}

// decode feeds the decoder process until the source ends.
func (s *source) decode(ffmpeg string, c codec, params [][]byte, units <-chan unit) {
	var d *decoder
	var sps []byte
	for {
		var u unit
		select {
		case u = <-units:
		case <-s.Done():
			return
		}
		found := c.findSPS(u.nalus)
		if d == nil {
			if found == nil {
				found = c.findSPS(params)
				u.nalus = append(params[:len(params):len(params)], u.nalus...)
			}
			if found == nil {
				s.obstacle.Store(noParameters)
				continue // nor can FFmpeg decode without it
			}
		}
		var err error
		switch {
		case d == nil:
			d, err = s.begin(ffmpeg, c, found)
			sps = bytes.Clone(found)
		case found != nil && !bytes.Equal(found, sps):
			err = s.checkSize(c, found)
			sps = bytes.Clone(found)
		}
		if err != nil {
			s.Fail(err)
			return
		}
		if d.write(u.nalus, u.stamp) != nil {
			d.kill() // it has ended or reads no more; its reader tells why
			return
		}
	}
}

// begin starts the decoder, what reads it, and what ends it with the source: a decoder that
// hangs would block its writer for ever.
func (s *source) begin(ffmpeg string, c codec, sps []byte) (*decoder, error) {
	w, h, fps, err := c.size(sps)
	if err != nil {
		return nil, err
	}
	d, err := startDecoder(ffmpeg, c, w, h)
	if err != nil {
		return nil, err
	}
	s.setInfo(w, h, fps, c.name)
	s.wg.Go(func() {
		<-s.Done()
		d.kill()
	})
	s.wg.Go(func() {
		for {
			f, err := d.read()
			if err != nil {
				break
			}
			s.put(f)
		}
		d.kill()
		s.Fail(d.wait())
	})
	return d, nil
}

func (s *source) setInfo(width, height int, fps float64, format string) {
	if !(fps > 0 && fps <= 240) { // cameras write much nonsense here
		fps = 0
	}
	s.info = camera.Info{Name: s.Name, Width: width, Height: height, FPS: fps, Live: true, Format: format}
	close(s.ready)
}

// checkSize looks at a parameter set in the middle of the stream. One that was damaged on its
// way is left to FFmpeg, which keeps the old one.
func (s *source) checkSize(c codec, sps []byte) error {
	w, h, _, err := c.size(sps)
	if err == nil && (w != s.info.Width || h != s.info.Height) {
		return fmt.Errorf("camera changes its size from %d×%d to %d×%d", s.info.Width, s.info.Height, w, h)
	}
	return nil
}

// jpegDecoder puts JPEGs together from RTP packets.
type jpegDecoder interface {
	Decode(*rtp.Packet) ([]byte, error)
}

// jpegUnit is a JPEG on its way to the decoder.
type jpegUnit struct {
	data  []byte
	stamp stamp
}

// receiveJPEG sets up Motion JPEG (RFC 2435). Each picture stands alone, so that only the
// newest waits.
func (s *source) receiveJPEG(m *description.Media, f format.Format, rtpDecoder jpegDecoder) stream {
	pictures := camera.NewSlot[jpegUnit]()
	s.wg.Go(func() {
		<-s.Done()
		pictures.Close()
	})
	s.wg.Go(func() { s.decodeJPEGs(pictures) })
	a := newArrival(f)
	return stream{media: m, format: f, onPacket: func(pkt *rtp.Packet) {
		a.packet()
		data, err := rtpDecoder.Decode(pkt)
		if err != nil {
			if pkt.Marker {
				a.lost()
				s.Skipped.Add(1)
			}
			return
		}
		if pictures.Put(jpegUnit{data: data, stamp: a.picture(pkt)}) {
			s.Skipped.Add(1)
		}
	}}
}

// Release implements [camera.Releaser]; the collector frees the picture.
func (jpegUnit) Release() {}

func (s *source) decodeJPEGs(pictures *camera.Slot[jpegUnit]) {
	var pool *camera.Pool
	var header bytes.Reader
	for bad := 0; ; {
		u, err := pictures.Take(context.Background())
		if err != nil {
			return
		}
		header.Reset(u.data)
		m, err := decodeJPEG(&header, u.data)
		if err != nil {
			if bad++; bad > maxBadJPEGs {
				s.Fail(fmt.Errorf("%d JPEGs in a row cannot be decoded: %w", bad, err))
				return
			}
			s.Skipped.Add(1)
			continue
		}
		bad = 0
		if pool == nil {
			pool = camera.NewPool(m.Cols(), m.Rows())
			s.setInfo(m.Cols(), m.Rows(), 0, "MJPEG")
		}
		err = s.putJPEG(pool, m, u.stamp)
		if err = errors.Join(err, m.Close()); err != nil {
			s.Fail(err)
			return
		}
	}
}

// decodeJPEG decodes data, whose beginning header reads. The size is checked although RTP
// limits it: a camera can hide another header in the quantization tables.
func decodeJPEG(header io.Reader, data []byte) (gocv.Mat, error) {
	if err := picture.Check(header); err != nil {
		return gocv.Mat{}, err
	}
	m, err := gocv.IMDecode(data, gocv.IMReadColor)
	if err == nil && m.Empty() {
		err = errors.New("it is damaged")
	}
	if err != nil {
		return gocv.Mat{}, errors.Join(err, m.Close())
	}
	return m, nil
}

func (s *source) putJPEG(pool *camera.Pool, m gocv.Mat, at stamp) error {
	if m.Cols() != s.info.Width || m.Rows() != s.info.Height {
		return fmt.Errorf("camera changes its size from %d×%d to %d×%d", s.info.Width, s.info.Height, m.Cols(), m.Rows())
	}
	data, err := m.DataPtrUint8()
	if err != nil {
		return fmt.Errorf("decode JPEG: %w", err)
	}
	f := pool.Get()
	copy(f.Pix, data)
	f.Captured, f.PTS = at.arrived, at.pts
	s.put(f)
	return nil
}

// put hands a frame to Read, in place of one that it was too slow to take.
func (s *source) put(f *camera.Frame) {
	s.Put(f)
}
