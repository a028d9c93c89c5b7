package export_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
)

// specs has every trunk with every head, and every norm.
func specs() map[string]nn.Spec {
	all := map[string]nn.Spec{}
	for _, trunk := range nn.Trunks() {
		for _, head := range nn.Heads() {
			s := nn.DefaultSpec()
			s.Trunk, s.Head = trunk, head
			all[fmt.Sprintf("%s %s", trunk, head)] = s
		}
	}
	cheap := nn.DefaultSpec()
	cheap.Width, cheap.Head = 0.5, nn.LiteHead
	for _, method := range nn.Methods() {
		s := cheap
		s.Placement, _ = method.Placement()
		all[string(method)] = s
	}
	for _, rescale := range nn.Rescales() {
		s := cheap
		s.Rescale = rescale
		all["rescale "+string(rescale)] = s
	}
	for _, stride := range []int{8, 32} {
		s := cheap
		s.OutputStride = stride
		all[fmt.Sprint("stride ", stride)] = s
	}
	mixed := all["shufflenetv2 paper"]
	mixed.Placement = nn.Placement{0, 0, 4, 6, 5, 3, 2}
	all["mixed"] = mixed
	return all
}

func build(tb testing.TB, spec nn.Spec) *nn.Network {
	tb.Helper()
	net, err := nn.New(spec)
	if err != nil {
		tb.Fatal(err)
	}
	return net
}

// weights returns random weights with running statistics that are far from neutral.
func weights(net *nn.Network) nn.State {
	state := net.Init(1)
	rng := rand.New(rand.NewPCG(2, 3))
	u := func() float32 { return 2*rng.Float32() - 1 }
	for _, p := range net.Params() {
		data := state[p.Key].Data
		for i := range data {
			switch p.Role {
			case nn.Kernel:
			case nn.Scale:
				data[i] = 1 + 0.2*u()
			case nn.RunningVar:
				data[i] = 1 + 0.5*u()
			case nn.MixWeight:
				data[i] = u()
			case nn.RunningCov, nn.RunningWhitener:
				symmetric(data, i, p.Shape[2], u())
			default:
				data[i] = 0.1 * u()
			}
		}
	}
	return state
}

// ones returns weights for tests of what does not depend on them.
func ones(net *nn.Network) nn.State {
	state := nn.State{}
	for _, p := range net.Params() {
		state[p.Key] = nn.Array{Shape: p.Shape, Data: slices.Repeat([]float32{1}, p.Count())}
	}
	return state
}

// symmetric sets entry i of c×c matrices, and the one across the diagonal, so that the
// matrices stay positive definite.
func symmetric(data []float32, i, c int, u float32) {
	switch row, column := i/c%c, i%c; {
	case row == column:
		data[i] = 1.5 + 0.3*u
	case row < column:
		data[i] = 0.05 * u
		data[i+(column-row)*(c-1)] = data[i]
	}
}

func options(spec nn.Spec, height, width int) export.Options {
	o := export.Options{Size: nn.Size{Height: height, Width: width}, Outputs: export.Outputs()}
	o.Card = trt.Card{Name: "test", Method: "isw", Ignore: 255}
	for i := range spec.Classes {
		o.Card.Classes = append(o.Card.Classes, trt.Class{Name: fmt.Sprint("class ", i)})
	}
	return o
}

func marshal(tb testing.TB, m *onnx.Model) []byte {
	tb.Helper()
	file, err := m.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestModelKeepsTheContract(t *testing.T) {
	spec := nn.DefaultSpec()
	net := build(t, spec)
	o := options(spec, 97, 131)
	o.Outputs = nil
	m, err := export.Model(net, net.Init(1), o)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if card.Mask != (trt.CardSize{Height: 48, Width: 65}) || card.Trunk != "mobilenetv2" || card.Name != "test" {
		t.Errorf("mask %v, trunk %q, name %q; want half of 97×131, mobilenetv2, test", card.Mask, card.Trunk, card.Name)
	}
	if want := []string{"layer0.1", "layer1.4", "layer2.3"}; !slices.Equal(card.Style.Layers, want) {
		t.Errorf("style layers %q, want %q", card.Style.Layers, want)
	}
	if got, want := len(card.Style.Mean), 2*(16+32+64); got != want {
		t.Errorf("style length %d, want %d", got, want)
	}
}

func TestSetCard(t *testing.T) {
	spec := nn.DefaultSpec()
	spec.Width, spec.Head = 0.5, nn.LiteHead
	net := build(t, spec)
	m, err := export.Model(net, net.Init(1), options(spec, 64, 64))
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	card.Accuracy["day"] = trt.Accuracy{MIoU: 61.5}
	card.Style.Mean[3], card.Style.Images = 0.25, 7
	if err := export.SetCard(m, *card); err != nil {
		t.Fatal(err)
	}
	got, err := trt.ReadCard(marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if got.Accuracy["day"].MIoU != 61.5 || got.Style.Mean[3] != 0.25 || got.Style.Images != 7 {
		t.Errorf("the model's card is %+v", got)
	}
	card.Accuracy["day"] = trt.Accuracy{MIoU: math.NaN()}
	if err := export.SetCard(m, *card); err == nil {
		t.Error("a card with NaN was stored")
	}
}

// Batch norms cost time in inference, and quantisers look layers up by name.
func TestStructure(t *testing.T) {
	for name, spec := range specs() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && spec.Trunk != nn.MobileNetV2 {
				t.Skip("it takes seconds")
			}
			net := build(t, spec)
			m, err := export.Model(net, ones(net), options(spec, 160, 256))
			if err != nil {
				t.Fatal(err)
			}
			got, named := map[string]int{}, map[string]bool{}
			for _, n := range m.Graph.Nodes {
				got[n.Op]++
				named[n.Name] = true
			}
			want := map[string]int{"ArgMax": 1}
			needed := net.Needed(net.Scores)
			for i, n := range net.Nodes {
				if !needed[i] {
					continue
				}
				switch n.Op {
				case nn.Conv, nn.IterWhiten:
					want["Conv"]++
					if !named[n.Key] {
						t.Errorf("no node is named %s", n.Key)
					}
				case nn.InstNorm:
					want["InstanceNormalization"]++
				}
			}
			for _, op := range []string{"Conv", "InstanceNormalization", "BatchNormalization", "ArgMax"} {
				if got[op] != want[op] {
					t.Errorf("%d nodes %s, want %d", got[op], op, want[op])
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	spec := nn.DefaultSpec()
	spec.Width, spec.Head = 0.5, nn.LiteHead
	net := build(t, spec)
	good := weights(net)
	// with returns the weights with other last values of some keys.
	with := func(edits map[string]float32) nn.State {
		s := maps.Clone(good)
		for key, v := range edits {
			data := slices.Clone(s[key].Data)
			data[len(data)-1] = v
			s[key] = nn.Array{Shape: s[key].Shape, Data: data}
		}
		return s
	}
	without := maps.Clone(good)
	delete(without, "final2.0.bias")
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	tests := map[string]struct {
		state nn.State
		edit  func(*export.Options)
		want  string
	}{
		"missing weights":   {state: without, want: "final2.0.bias"},
		"not a number":      {state: with(map[string]float32{"bot_fine.0.weight": nan}), want: "weights bot_fine.0.weight: value 767 is NaN"},
		"infinite":          {state: with(map[string]float32{"layer0.0.1.bias": inf}), want: "weights layer0.0.1.bias: value 15 is -Inf"},
		"negative variance": {state: with(map[string]float32{"layer0.0.1.running_var": -1}), want: "layer0.0.1.running_var: the variance of channel 15 is -1"},
		"overflow":          {state: with(map[string]float32{"layer0.0.0.weight": 2, "layer0.0.1.weight": math.MaxFloat32}), want: "weights layer0.0.0.weight: value 431 becomes"},
		"low":               {edit: func(o *export.Options) { o.Size.Height = 31 }, want: "size 31x64: with an output stride of 16, height and width are 32 to 8192 pixels"},
		"wide":              {edit: func(o *export.Options) { o.Size.Width = 8193 }, want: "size 64x8193"},
		"no size":           {edit: func(o *export.Options) { o.Size = nn.Size{} }, want: "size 0x0"},
		"unknown output":    {edit: func(o *export.Options) { o.Outputs = append(o.Outputs, "depth") }, want: `output "depth" is unknown; use mask,style or mask,style,logits`},
		"no mask":           {edit: func(o *export.Options) { o.Outputs = []export.Output{export.Style} }, want: "output mask is missing"},
		"classes":           {edit: func(o *export.Options) { o.Card.Classes = o.Card.Classes[1:] }, want: "its card names 18 classes, but it has 19"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, state := options(spec, 64, 64), tt.state
			if state == nil {
				state = good
			}
			if tt.edit != nil {
				tt.edit(&o)
			}
			if _, err := export.Model(net, state, o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant one with %s", err, tt.want)
			}
		})
	}
}

func TestParseOutputs(t *testing.T) {
	got, err := export.ParseOutputs("mask, style,logits")
	if want := export.Outputs(); err != nil || !slices.Equal(got, want) {
		t.Errorf("outputs %q, error %v; want %q", got, err, want)
	}
	for _, text := range []string{"", "mask", "mask,style,", "mask,style,mask", "Mask,style", "mask style"} {
		if got, err := export.ParseOutputs(text); err == nil {
			t.Errorf("%q gives %q, want an error", text, got)
		}
	}
}
