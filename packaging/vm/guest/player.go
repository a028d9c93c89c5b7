package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
)

const overlayURL = "rtsp://127.0.0.1:8554/overlay"

// player watches a stream as a person's player does who presses play again whenever it ends. It
// counts pictures from the first key frame of a connection on.
type player struct {
	url    string
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	last     time.Time // the newest picture
	pictures int
	played   int       // connections that showed a picture
	began    time.Time // the newest connection's first picture
	fault    error
}

// watch starts a player; stop ends it.
func watch(url string) *player {
	ctx, cancel := context.WithCancel(context.Background())
	p := &player{url: url, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			err := p.play(ctx)
			p.mu.Lock()
			p.fault = err
			p.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

func (p *player) stop() {
	p.cancel()
	<-p.ended
}

// play returns when the connection ends.
func (p *player) play(ctx context.Context) error {
	u, err := base.ParseURL(p.url)
	if err != nil {
		return err
	}
	tcp := gortsplib.ProtocolTCP
	// A stream whose camera is away is silent and stays connected.
	c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp, ReadTimeout: 2 * time.Minute}
	if err := c.Start(); err != nil {
		return err
	}
	defer c.Close()
	description, _, err := c.Describe(u)
	if err != nil {
		return err
	}
	var forma *format.H264
	media := description.FindFormat(&forma)
	if media == nil {
		return fmt.Errorf("%s has no H.264", p.url)
	}
	decoder, err := forma.CreateDecoder()
	if err != nil {
		return err
	}
	if _, err := c.Setup(description.BaseURL, media, 0, 0); err != nil {
		return err
	}
	started := false
	c.OnPacketRTP(media, forma, func(packet *rtp.Packet) {
		unit, err := decoder.Decode(packet)
		if err != nil || (!started && !h264.IsRandomAccess(unit)) {
			return
		}
		p.picture(!started)
		started = true
	})
	if _, err := c.Play(nil); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- c.Wait() }()
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
		c.Close()
		<-failed
		return nil
	}
}

func (p *player) picture(first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	p.pictures++
	if first {
		p.played++
		p.began = p.last
	}
}

// connections is how many have shown a picture.
func (p *player) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.played
}

// after waits for a picture that arrives after a time and returns how long that took.
func (p *player) after(ctx context.Context, t time.Time) (time.Duration, error) {
	var took time.Duration
	err := until(ctx, "a picture from "+p.url, func() (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if took = p.last.Sub(t); took > 0 {
			return true, nil
		}
		return false, p.fault
	})
	return took, err
}

// again waits for the first picture of a connection made after a time and returns how long that took.
func (p *player) again(ctx context.Context, t time.Time) (time.Duration, error) {
	var took time.Duration
	err := until(ctx, "a picture from a new connection to "+p.url, func() (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if took = p.began.Sub(t); took > 0 {
			return true, nil
		}
		return false, p.fault
	})
	return took, err
}

// more waits for n more pictures.
func (p *player) more(ctx context.Context, n int) error {
	p.mu.Lock()
	want := p.pictures + n
	p.mu.Unlock()
	return until(ctx, fmt.Sprintf("%d more pictures from %s", n, p.url), func() (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.pictures >= want {
			return true, nil
		}
		return false, p.fault
	})
}

// silent waits until no picture has come for a time.
func (p *player) silent(ctx context.Context, d time.Duration) error {
	return until(ctx, "no pictures from "+p.url, func() (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return time.Since(p.last) > d, nil
	})
}
