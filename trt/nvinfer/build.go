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
	// Progress, if not nil, is told what share of an outermost phase is done, from 0 to 1. It is
	// called by one goroutine at a time. TensorRT 8 does not tell.
	Progress func(phase string, share float64)
}

// The shim's precisions.
const (
	typed = 0
	half  = 1
	int8s = 2
)

// precision is what TensorRT may choose for a model that holds these types.
func (o BuildOptions) precision(holds int) int {
	if !o.Weak {
		return typed
	}
	return half | holds&int8s
}

// typesIn tells which types that are not FP32 a model holds. TensorRT 8, which knows no typed
// networks, has to be allowed them, and would take liberties with a model of FP32 if it were
// allowed more.
func typesIn(g *onnx.Graph) (types int) {
	for _, n := range g.Nodes {
		if n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear" {
			types |= int8s
		}
		for _, a := range n.Attributes {
			if t, ok := a.Value.(*onnx.Tensor); ok && t.Elem == onnx.Float16 || a.Name == "to" && a.Value == int64(onnx.Float16) {
				types |= half
			}
		}
	}
	for _, t := range g.Initializers {
		if t.Elem == onnx.Float16 {
			types |= half
		}
	}
	return types
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
	plan, timings, err := l.native.make(file, typesIn(&model.Graph), o, &progress{ctx: ctx, tell: o.Progress})
	if err != nil {
		return nil, err
	}
	return &Plan{Bytes: plan, TimingCache: timings}, nil
}

// progress sums up the phases of a build. It is called from TensorRT's threads, one at a time.
type progress struct {
	ctx  context.Context
	tell func(phase string, share float64)

	mu     sync.Mutex
	phases map[string]phase // that have begun
	most   float64          // of the outermost phase under way
	last   string           // told last
	told   float64
}

// phase is a part of a build. Its steps may be phases, too, with hours in one of them.
type phase struct {
	parent      string
	done, steps int
}

func (p *progress) step(name, parent string, done, steps int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tell == nil || steps < 1 {
		return
	}
	if p.phases == nil {
		p.phases = map[string]phase{}
	}
	p.phases[name] = phase{parent, done, steps}
	if parent == "" && done == 0 {
		p.most = 0
	}
	outermost, share := p.outermost(name)
	// Of phases that follow each other within a step, nobody says how many will come: each begins
	// where the step did.
	p.most = max(p.most, share)
	if outermost != p.last || p.most != p.told {
		p.last, p.told = outermost, p.most
		p.tell(outermost, p.most)
	}
	if parent == "" && done >= steps {
		clear(p.phases)
	}
}

// outermost is the phase that a phase lies in, and how much of it is done if nothing else is.
func (p *progress) outermost(name string) (string, float64) {
	share := 0.0
	for range len(p.phases) { // which bounds a chain that has no end
		at := p.phases[name]
		share = min((float64(at.done)+share)/float64(at.steps), 1)
		if _, ok := p.phases[at.parent]; !ok || at.parent == "" {
			break
		}
		name = at.parent
	}
	return name, share
}
