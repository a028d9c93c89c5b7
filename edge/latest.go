package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"sync"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/trt"
)

// latest keeps the newest shot and makes JPEG pictures of it for the web page. A picture
// is made when someone asks, once for all who ask.
type latest struct {
	// drawing serialises the makers of pictures; it guards what follows. It is never
	// held together with mu for long, so that a slow picture cannot delay the pipeline.
	drawing  sync.Mutex
	overlay  config.Overlay
	engine   trt.Engine
	renderer *overlay.Renderer
	pane     image.Point
	made     map[view.View]picture

	mu      sync.Mutex
	shot    *shot     // nil before the first, and while a picture is made of it
	seq     uint64    // shots so far; frames count from 1 again with each pipeline
	past    uint64    // shots of earlier pipelines
	ratios  []float64 // of the newest shot, by class id
	closed  bool
	waiters []chan struct{}
}

// picture is a JPEG of the shot with the given number.
type picture struct {
	jpeg []byte
	seq  uint64
}

func (l *latest) init(o config.Overlay, engine trt.Engine) {
	l.overlay, l.engine = o, engine
	l.made = make(map[view.View]picture, len(view.All()))
	l.ratios = make([]float64, len(engine.Card().Classes))
}

// use begins anew for the shots of another pipeline: with its settings, its model, and the
// pictures of its camera alone. No shot may be put meanwhile.
func (l *latest) use(o config.Overlay, engine trt.Engine) {
	l.drawing.Lock()
	defer l.drawing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shot != nil {
		l.shot.Release()
		l.shot = nil
	}
	if l.renderer != nil {
		l.renderer.Close()
		l.renderer = nil
	}
	l.past = l.seq // whoever wants a picture waits for the next
	l.init(o, engine)
}

// put takes over s as the newest shot.
func (l *latest) put(s *shot) {
	l.mu.Lock()
	old := l.shot
	l.shot = s
	l.seq++
	copy(l.ratios, s.ratios)
	for _, w := range l.waiters {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	l.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

// classRatios returns each class's share of the newest mask, 0..1.
func (l *latest) classRatios() []float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ratios)
}

// close releases the shot and the drawing parts. No picture can be made afterwards.
func (l *latest) close() {
	l.drawing.Lock()
	defer l.drawing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, w := range l.waiters {
		close(w)
	}
	l.waiters = nil
	if l.shot != nil {
		l.shot.Release()
		l.shot = nil
	}
	if l.renderer != nil {
		l.renderer.Close()
		l.renderer = nil
	}
}

// Picture implements web.Pictures.
func (l *latest) Picture(ctx context.Context, v view.View, after uint64) (jpeg []byte, seq uint64, err error) {
	for {
		if err := l.wait(ctx, after); err != nil {
			return nil, 0, err
		}
		jpeg, seq, err = l.newest(v)
		if !errors.Is(err, errNone) {
			return jpeg, seq, err
		}
	}
}

// errNone says that the shot is no longer there for which a picture was asked.
var errNone = errors.New("the pipeline has been replaced")

// newest returns the picture of the newest shot.
func (l *latest) newest(v view.View) (jpeg []byte, seq uint64, err error) {
	l.drawing.Lock()
	defer l.drawing.Unlock()
	s, seq, err := l.borrow(v)
	if err != nil {
		return nil, 0, err
	}
	if s == nil {
		return l.made[v].jpeg, seq, nil
	}
	defer l.giveBack(s)
	jpeg, err = l.draw(s, v)
	if err != nil {
		return nil, 0, err
	}
	l.made[v] = picture{jpeg: jpeg, seq: seq}
	return jpeg, seq, nil
}

// wait blocks until there is a shot with another number than after.
func (l *latest) wait(ctx context.Context, after uint64) error {
	l.mu.Lock()
	if l.closed || l.seq > l.past && l.seq != after {
		l.mu.Unlock()
		return nil
	}
	arrived := make(chan struct{}, 1)
	l.waiters = append(l.waiters, arrived)
	l.mu.Unlock()

	var err error
	select {
	case <-arrived:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	l.waiters = slices.DeleteFunc(l.waiters, func(w chan struct{}) bool { return w == arrived })
	l.mu.Unlock()
	return err
}

// borrow takes the newest shot out, or returns nil where its picture is already made. The
// caller holds drawing, so no one else has it.
func (l *latest) borrow(v view.View) (*shot, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, 0, web.ErrNoPicture
	case l.shot == nil:
		return nil, 0, errNone
	}
	if l.made[v].seq == l.seq {
		return nil, l.seq, nil
	}
	s := l.shot
	l.shot = nil
	return s, l.seq, nil
}

// giveBack returns a borrowed shot, unless a newer one has come meanwhile.
func (l *latest) giveBack(s *shot) {
	l.mu.Lock()
	newer := l.shot != nil
	if !newer {
		l.shot = s
	}
	l.mu.Unlock()
	if newer {
		s.Release()
	}
}

func (l *latest) draw(s *shot, v view.View) ([]byte, error) {
	o := overlayOptions(l.overlay, l.engine, s.frame)
	o.Stats, o.Stamp = false, false // the page shows the figures itself
	pane := image.Pt(o.Width, o.Height)
	if l.renderer == nil || pane != l.pane {
		if l.renderer != nil {
			l.renderer.Close()
		}
		r, err := overlay.NewRenderer(o)
		if err != nil {
			l.renderer = nil
			return nil, fmt.Errorf("draw a picture for the page: %w", err)
		}
		l.renderer, l.pane = r, pane
	}
	p, err := l.renderer.Draw(s.frame, s.mask, v, overlay.Figures{})
	if err != nil {
		return nil, err
	}
	return p.JPEG()
}
