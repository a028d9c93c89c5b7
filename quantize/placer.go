package quantize

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// A Placer makes quantised models of a network by one table and one choice of ranges.
type Placer struct {
	net *Network
	// ranges are those of affine and of symmetric grids by tensor.
	affine, symmetric map[string]histogram.Range
	tensors           map[string]*Tensor
}

// Placer chooses the range of every observed tensor. Tensors that share a grid in integer
// arithmetic, such as the parts of a Concat, are counted together for affine ranges.
//
// It is an error if the table does not know the network, or knows it with other factors than it
// was equalised by.
func (net *Network) Placer(table *Table, choice histogram.Choice) (*Placer, error) {
	tensors, err := net.tensorsOf(table)
	if err != nil {
		return nil, err
	}
	p := &Placer{net: net, tensors: tensors, affine: map[string]histogram.Range{}, symmetric: map[string]histogram.Range{}}
	names, groups := net.Tensors(), net.groups()
	together := map[string]*histogram.Histogram{}
	for _, name := range names {
		t := tensors[name]
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
			own[i].symmetric = tensors[name].Values.Range(histogram.Symmetric, choice)
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	for i, name := range names {
		p.affine[name], p.symmetric[name] = shared[groups[name]].affine, own[i].symmetric
	}
	return p, nil
}

// tensorsOf returns what the table knows of the network as it is, equalised or not.
func (net *Network) tensorsOf(table *Table) (map[string]*Tensor, error) {
	switch e := table.Equalised; {
	case net.factors == nil:
		return table.Tensors, nil
	case e == nil || !maps.EqualFunc(e.Factors, net.factors, slices.Equal[[]float64]):
		return nil, errors.New("the calibration table is of a model that was equalised in another way; calibrate again")
	default:
		return e.Tensors, nil
	}
}

// Ranges returns the range that was chosen for a tensor on each kind of grid.
func (p *Placer) Ranges(tensor string) (affine, symmetric histogram.Range) {
	return p.affine[tensor], p.symmetric[tensor]
}

// Magnitudes returns by layer, for those that o quantises, the greatest magnitude on the grid
// with zero-point 0 of what the layer reads.
func (p *Placer) Magnitudes(o Options) map[string]float64 {
	all := map[string]float64{}
	for _, l := range p.net.quantisable(o) {
		all[l.name()] = 127 * float64(histogram.GridOf(histogram.Symmetric, p.symmetric[l.input()]).Scale)
	}
	return all
}

// means returns those of the channels that a layer reads, nil if they are not known.
func (p *Placer) means(l *layer) []float64 {
	t := p.tensors[l.input()]
	if t == nil {
		return nil
	}
	var means []float64
	for _, c := range t.Channels {
		means = append(means, c.Mean)
	}
	return means
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
	// grids, scales and zeros are those of tensors that are rounded.
	grids         map[string]histogram.Grid
	scales, zeros map[string]string
}

func (net *Network) newEmitter() *emitter {
	m := net.model.Clone()
	e := &emitter{net: net, model: m, old: m.Graph.Nodes, values: map[string]string{}, levels: map[string]string{},
		grids: map[string]histogram.Grid{}, scales: map[string]string{}, zeros: map[string]string{}}
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
	e.restore(name, e.round(name, grid))
}

// round adds the node that rounds a tensor to its grid, and returns the levels.
func (e *emitter) round(name string, grid histogram.Grid) (levels string) {
	e.setGrid(name, grid)
	return e.Node("QuantizeLinear", name+"/levels", []string{name, e.scales[name], e.zeros[name]})
}

// restore adds the node that makes numbers of the levels of a tensor whose grid is set.
func (e *emitter) restore(name, levels string) {
	e.levels[name] = levels
	e.values[name] = e.Node("DequantizeLinear", name+"/rounded", []string{levels, e.scales[name], e.zeros[name]})
}

// setGrid adds scale and zero-point of a tensor, without dimensions: with one, ONNX Runtime does
// not fuse.
func (e *emitter) setGrid(name string, grid histogram.Grid) {
	e.grids[name] = grid
	e.scales[name] = e.Initializer(onnx.NewTensor(name+"/scale", []float32{grid.Scale}))
	zero := onnx.NewTensor(name+"/zero", []uint8{uint8(grid.Zero)})
	if grid.Kind == histogram.Symmetric {
		zero = onnx.NewTensor(name+"/zero", []int8{int8(grid.Zero)})
	}
	e.zeros[name] = e.Initializer(zero)
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
