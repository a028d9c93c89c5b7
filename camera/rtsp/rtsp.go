// Package rtsp reads network cameras: RTSP 1.0 (RFC 2326) over TCP, UDP or TLS, with H.264
// and H.265, which the ffmpeg command decodes as a child process, and Motion JPEG.
package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/internal/live"
)

// defaultTimeout is how long the camera may leave a request unanswered, or send nothing.
const defaultTimeout = 5 * time.Second

// source is one playing camera. Its goroutines are the client's own and those that the
// WaitGroup counts; Close ends them all.
type source struct {
	*live.Feed
	client *gortsplib.Client
	info   camera.Info   // set before ready is closed
	ready  chan struct{} // closed when the size is known
	// obstacle is what keeps the first picture from being decoded: a string, or nothing.
	obstacle atomic.Value
	wg       sync.WaitGroup
}

// Open connects to the camera of an rtsp: or rtsps: address and waits until it has sent a key
// frame. Want is ignored: the camera decides. Of several streams the first that can be decoded
// is taken, H.264 before H.265 before Motion JPEG. The options, after a number sign, are
//
//	transport  tcp (default; nothing is lost), udp (less delay, but lost packets smear the
//	           picture), auto (udp, and tcp if nothing arrives)
//	timeout    how long the camera may be silent, 5s by default
//
// Frames carry the arrival of their first packet as Captured, and the camera's own clock,
// counted from the first frame, as PTS. When the consumer or the processor is too slow,
// pictures are skipped up to the next key frame, and told in Skipped, as are those that lack
// packets. What the decoder process gives up is not known.
//
// A wrong password and a stream without video wrap [camera.ErrPermanent]; a path that the
// camera does not have wraps [fs.ErrNotExist]. A camera that changes its picture size, or
// ends the stream, makes Read fail, so that it is opened again. No error holds the password.
func Open(ctx context.Context, uri camera.URI, _ camera.Want) (camera.Source, error) {
	name := uri.Redacted()
	address, err := base.ParseURL(uri.Address)
	if err != nil { // the cause may quote the password
		return nil, camera.Permanent(fmt.Errorf("open camera %s: address is not a valid URL", name))
	}
	s := &source{Feed: live.NewFeed(name), ready: make(chan struct{})}
	timeout := uri.Duration("timeout", defaultTimeout)
	s.client = &gortsplib.Client{
		Scheme: address.Scheme, Host: address.Host, ReadTimeout: timeout, WriteTimeout: timeout,
		Protocol: protocolOf(uri.Text("transport", "tcp")), UserAgent: "robustnet-edge",
		// Losses and switches show in the picture; the library would print them.
		OnTransportSwitch: func(error) {}, OnPacketsLost: func(uint64) {}, OnDecodeError: func(error) {},
	}
	if err := s.client.Start(); err != nil {
		return nil, fmt.Errorf("open camera %s: %w", name, err)
	}
	s.wg.Go(func() { s.Fail(fmt.Errorf("connection ended: %w", noEOF(s.client.Wait()))) })
	stop := context.AfterFunc(ctx, func() {
		s.Fail(ctx.Err())
		s.client.Close()
	})
	err = s.play(address)
	if err == nil {
		err = s.waitReady()
	}
	if !stop() {
		err = ctx.Err()
		if obstacle, ok := s.obstacle.Load().(string); ok {
			err = fmt.Errorf("%s: %w", obstacle, err)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open camera %s: %w", name, explain(err)), s.Close())
	}
	return s, nil
}

func protocolOf(transport string) *gortsplib.Protocol {
	var p gortsplib.Protocol
	switch transport {
	case "auto":
		return nil
	case "udp":
		p = gortsplib.ProtocolUDP
	default:
		p = gortsplib.ProtocolTCP
	}
	return &p
}

// play asks the camera for its first stream that can be decoded.
func (s *source) play(address *base.URL) error {
	desc, _, err := s.client.Describe(address)
	if err != nil {
		return err
	}
	media, err := s.receive(desc)
	if err != nil {
		return err
	}
	if _, err := s.client.Setup(desc.BaseURL, media.media, 0, 0); err != nil {
		return err
	}
	s.client.OnPacketRTP(media.media, media.format, media.onPacket)
	_, err = s.client.Play(nil)
	return err
}

// stream is the chosen stream and what takes its packets.
type stream struct {
	media    *description.Media
	format   format.Format
	onPacket gortsplib.OnPacketRTPFunc
}

func (s *source) receive(desc *description.Session) (stream, error) {
	var avc *format.H264
	var hevc *format.H265
	var jpeg *format.MJPEG
	if m := desc.FindFormat(&avc); m != nil {
		rtp, err := avc.CreateDecoder()
		if err != nil {
			return stream{}, err
		}
		sps, pps := avc.SafeParams()
		return s.receiveCoded(m, avc, codecH264(), rtp, [][]byte{sps, pps})
	}
	if m := desc.FindFormat(&hevc); m != nil {
		rtp, err := hevc.CreateDecoder()
		if err != nil {
			return stream{}, err
		}
		vps, sps, pps := hevc.SafeParams()
		return s.receiveCoded(m, hevc, codecH265(), rtp, [][]byte{vps, sps, pps})
	}
	if m := desc.FindFormat(&jpeg); m != nil {
		rtp, err := jpeg.CreateDecoder()
		if err != nil {
			return stream{}, err
		}
		return s.receiveJPEG(m, jpeg, rtp), nil
	}
	var offered []string
	for _, m := range desc.Medias {
		for _, f := range m.Formats {
			offered = append(offered, f.Codec())
		}
	}
	return stream{}, camera.Permanent(fmt.Errorf("camera offers no H.264, H.265 or Motion JPEG, only %q; choose another stream in its settings",
		offered))
}

func (s *source) waitReady() error {
	select {
	case <-s.ready:
		return nil
	case <-s.Done():
		return s.Cause()
	}
}

// noEOF turns the end of a connection into a fault, since io.EOF means the regular end of
// a finite source.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// explain adds the next step to what the camera answered.
func explain(err error) error {
	var status liberrors.ErrClientBadStatusCode
	if !errors.As(err, &status) {
		return err
	}
	switch status.Code {
	case base.StatusUnauthorized, base.StatusForbidden:
		return camera.Permanent(fmt.Errorf("camera refuses the user name or password (%d); write rtsp://user:password@host/path: %w",
			status.Code, fs.ErrPermission))
	case base.StatusNotFound:
		return fmt.Errorf("camera has no such path (404); look its stream's path up in its manual: %w", fs.ErrNotExist)
	}
	return err
}

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Close implements [camera.Source].
func (s *source) Close() error {
	s.Fail(fs.ErrClosed)
	s.client.Close()
	s.wg.Wait()
	s.Drain()
	return nil
}
