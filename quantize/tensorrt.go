package quantize

import (
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// TensorRT places QuantizeLinear and DequantizeLinear as TensorRT fuses them: int8 with
// zero-point 0 on the inputs of convolutions and on the skipped input of residual additions,
// int8 weights by output channel, biases left alone. The rest is float16 as in
// [Placer.Half].
func (p *Placer) TensorRT(o Options) (*onnx.Model, error) {
	m, err := p.TensorRTFloat32(o)
	if err != nil {
		return nil, err
	}
	return halve(m, p.wide())
}

// TensorRTFloat32 is [Placer.TensorRT] with float32 in place of float16: what is measured of a
// layer alone on a CPU, which computes float16 slowly.
func (p *Placer) TensorRTFloat32(o Options) (*onnx.Model, error) {
	if err := p.net.Check(o); err != nil {
		return nil, err
	}
	e := p.net.newEmitter()
	rounded := map[string]bool{} // tensors that some reader takes rounded
	for _, l := range p.net.layers {
		if o.quantised(l) {
			rounded[l.input()] = true
		}
	}
	skips, wide := p.net.skips(o), p.wide()
	for _, name := range skips {
		rounded[name] = true
	}
	for _, n := range e.old {
		l := p.net.layer(n.Name)
		switch skip := skips[n.Name]; {
		case l != nil && o.quantised(l):
			least := halfScales
			if wide[l.input()] || wide[l.output()] { // then they stay in float32
				least = singleScales
			}
			q := quantiseWeights(l.weight, l.outputs(), o.PerTensorWeights, least)
			o.adapt(l, q)
			n.Inputs[0], n.Inputs[1] = e.value(n.Inputs[0]), e.dequantised(l, q)
			if means := p.means(l); o.CorrectBias && means != nil {
				e.setBias(n, l.correctedBias(q, means))
			}
		case skip != "":
			for i, name := range n.Inputs {
				if name == skip {
					n.Inputs[i] = e.value(name)
				}
			}
		}
		e.model.Graph.Nodes = append(e.model.Graph.Nodes, n)
		for _, name := range n.Outputs {
			if rounded[name] {
				e.quantise(name, histogram.GridOf(histogram.Symmetric, p.symmetric[name]))
			}
		}
	}
	return e.finish()
}

// setBias gives a convolution another bias.
func (e *emitter) setBias(n *onnx.Node, bias []float32) {
	name := e.Initializer(onnx.NewTensor(n.Name+"/bias", bias, len(bias)))
	n.Inputs = append(n.Inputs[:2], name)
}

// Half returns the model in float16, for TensorRT's strongly typed networks. Instance norms,
// the statistics of the style and what exceeds half of float16's range stay in float32.
func (p *Placer) Half() (*onnx.Model, error) { return halve(p.net.model.Clone(), p.wide()) }

// skips returns for each residual addition the tensor that is rounded: the one that is not
// itself a convolution's output, which TensorRT adds to within the convolution. Of two
// convolutions it is the second.
func (net *Network) skips(o Options) map[string]string {
	skips, set := map[string]string{}, net.quantised(o)
	for _, n := range net.model.Graph.Nodes {
		if !is(n, "Add") || len(n.Inputs) != 2 || !set[n.Inputs[0]] || !set[n.Inputs[1]] {
			continue
		}
		fuses := func(name string) bool {
			l := net.byNode[net.index.Producer(name)]
			return l != nil && o.quantised(l) && net.index.OnlyReader(name) == n
		}
		switch a, b := n.Inputs[0], n.Inputs[1]; {
		case fuses(a):
			skips[n.Name] = b
		case fuses(b):
			skips[n.Name] = a
		}
	}
	return skips
}

// wide names the observed tensors whose values come near the end of float16's range.
func (p *Placer) wide() map[string]bool {
	const limit = 65504 / 2
	wide := map[string]bool{}
	for name, t := range p.tensors {
		if max(t.Values.Max(), -t.Values.Min()) > limit {
			wide[name] = true
		}
	}
	return wide
}
