package nvinfer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/robustnet-edge/robustnet/onnx"
)

// BuildOptions say how an engine is built.
type BuildOptions struct {
	Build
	// TimingCache is that of an earlier build, with which a build is far quicker. One of another
	// version or GPU is left alone.
	TimingCache []byte
	// Progress, if not nil, is told how far the outermost phase has come.
	Progress func(phase string, done, total int)

	integers bool // the model has Q/DQ
}

// The shim's precisions.
const (
	typed = 0
	half  = 1
	int8s = 2
)

func (o BuildOptions) precision() int {
	switch {
	case !o.Weak:
		return typed
	case o.integers:
		return half | int8s
	}
	return half
}

// Plan is an engine as TensorRT stores it.
type Plan struct {
	Bytes       []byte
	TimingCache []byte
}

// Build makes an engine for the GPU at hand, which takes minutes. Errors wrap [ErrModel],
// [ErrMemory] or, where the context is done, [ErrCancelled].
func (l *Library) Build(ctx context.Context, model *onnx.Model, o BuildOptions) (*Plan, error) {
	if o.Level < 0 || o.Level > 5 {
		return nil, fmt.Errorf("optimisation level %d: 0 to 5 are possible", o.Level)
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(ErrCancelled, err)
	}
	file, err := model.Marshal()
	if err != nil {
		return nil, err
	}
	for _, n := range model.Graph.Nodes {
		o.integers = o.integers || n.Op == "QuantizeLinear"
	}
	plan, timings, err := l.native.make(file, o, &progress{ctx: ctx, tell: o.Progress})
	if err != nil {
		return nil, err
	}
	return &Plan{Bytes: plan, TimingCache: timings}, nil
}

// progress passes on what the build says. It is called from TensorRT's threads, one at a time.
type progress struct {
	ctx  context.Context
	tell func(phase string, done, total int)

	mu sync.Mutex
}

func (p *progress) step(phase, parent string, done, steps int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tell != nil && parent == "" {
		p.tell(phase, done, steps)
	}
}
