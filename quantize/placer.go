package quantize

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// A Placer makes quantised models of a network by one table and one choice of ranges.
type Placer struct {
	net *Network
	// ranges are those of affine and of symmetric grids by tensor.
	affine, symmetric map[string]histogram.Range
	table             *Table
}

// Placer chooses the range of every observed tensor. Tensors that share a grid in integer
// arithmetic, such as the parts of a Concat, are counted together for affine ranges.
func (net *Network) Placer(table *Table, choice histogram.Choice) (*Placer, error) {
	p := &Placer{net: net, table: table, affine: map[string]histogram.Range{}, symmetric: map[string]histogram.Range{}}
	names, groups := net.Tensors(), net.groups()
	together := map[string]*histogram.Histogram{}
	for _, name := range names {
		t := table.Tensors[name]
		if t == nil {
			return nil, fmt.Errorf("the calibration table does not know tensor %s: it is of another model; calibrate again", clip(name))
		}
		h := together[groups[name]]
		if h == nil {
			h = &histogram.Histogram{}
			together[groups[name]] = h
		}
		h.Merge(t.Values)
	}
	type chosen struct{ affine, symmetric histogram.Range }
	shared, own := make(map[string]*chosen), make([]chosen, len(names))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for leader, h := range together {
		c := &chosen{}
		shared[leader] = c
		g.Go(func() error { c.affine = h.Range(histogram.Affine, choice); return nil })
	}
	for i, name := range names {
		g.Go(func() error {
			own[i].symmetric = table.Tensors[name].Values.Range(histogram.Symmetric, choice)
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	for i, name := range names {
		p.affine[name], p.symmetric[name] = shared[groups[name]].affine, own[i].symmetric
	}
	return p, nil
}

// Ranges returns the range that was chosen for a tensor on each kind of grid.
func (p *Placer) Ranges(tensor string) (affine, symmetric histogram.Range) {
	return p.affine[tensor], p.symmetric[tensor]
}

// means returns those of the channels that a layer reads, nil if they are not known.
func (p *Placer) means(l *layer) []float64 {
	if t := p.table.Tensors[l.input()]; t != nil {
		return t.ChannelMeans
	}
	return nil
}

// emitter writes a model anew, node by node.
type emitter struct {
	*onnx.Builder
	net   *Network
	model *onnx.Model
	old   []*onnx.Node
	// values are the tensors that readers take in place of those of the old graph, and levels
	// those in integers.
	values, levels map[string]string
	grids          map[string]histogram.Grid
}

func (net *Network) newEmitter() *emitter {
	m := net.model.Clone()
	e := &emitter{net: net, model: m, old: m.Graph.Nodes, values: map[string]string{}, levels: map[string]string{}, grids: map[string]histogram.Grid{}}
	e.Builder = onnx.NewBuilder(m) // before the nodes go: it keeps their names apart
	m.Graph.Nodes = nil
	m.Graph.Values = nil
	return e
}

// value returns the tensor to read in place of one of the old graph.
func (e *emitter) value(name string) string {
	if v, ok := e.values[name]; ok {
		return v
	}
	return name
}

// copyNode adds a node of the old graph with its inputs renamed.
func (e *emitter) copyNode(n *onnx.Node) {
	for i, name := range n.Inputs {
		n.Inputs[i] = e.value(name)
	}
	e.model.Graph.Nodes = append(e.model.Graph.Nodes, n)
}

// quantise adds the nodes that round a tensor to its grid.
func (e *emitter) quantise(name string, grid histogram.Grid) {
	e.grids[name] = grid
	scale, zero := e.gridTensors(name, grid)
	e.levels[name] = e.Node("QuantizeLinear", name+"/levels", []string{name, scale, zero})
	e.values[name] = e.Node("DequantizeLinear", name+"/rounded", []string{e.levels[name], scale, zero})
}

// carry adds the node that makes numbers of levels which a node of the old graph has made.
func (e *emitter) carry(name string, grid histogram.Grid) {
	e.grids[name] = grid
	scale, zero := e.gridTensors(name, grid)
	e.levels[name] = name
	e.values[name] = e.Node("DequantizeLinear", name+"/rounded", []string{name, scale, zero})
}

// gridTensors adds scale and zero-point, without dimensions: with one, ONNX Runtime does not
// fuse.
func (e *emitter) gridTensors(name string, grid histogram.Grid) (scale, zero string) {
	scale = e.Initializer(onnx.NewTensor(name+"/scale", []float32{grid.Scale}))
	if grid.Kind == histogram.Symmetric {
		return scale, e.Initializer(onnx.NewTensor(name+"/zero", []int8{int8(grid.Zero)}))
	}
	return scale, e.Initializer(onnx.NewTensor(name+"/zero", []uint8{uint8(grid.Zero)}))
}

// finish returns the model without what is no longer needed.
func (e *emitter) finish() (*onnx.Model, error) {
	for _, v := range e.model.Graph.Outputs {
		if e.levels[v.Name] == v.Name {
			return nil, fmt.Errorf("output %s of the model would hold levels; only masks and styles can be outputs", v.Name)
		}
	}
	e.model.Graph.Prune()
	if len(e.model.Graph.Nodes) == 0 {
		return nil, errors.New("nothing is left of the graph")
	}
	return e.model, nil
}
