package model

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/ranks/rankstest"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

func TestMain(m *testing.M) {
	rankstest.Main(m, rankstest.Roles{"norm": normOfRank, "train": trainOfRank})
}

// alone is run with one thread, which does not spin while the ranks have the cores.
func alone(t *testing.T, f func(s *torch.Scope)) {
	t.Helper()
	err := torchtest.Library(t).Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		f(s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// print passes a result on to the test.
func print(result any) error { return json.NewEncoder(os.Stdout).Encode(result) }

// results reads what a process passes on.
func results[T any](t *testing.T, p *rankstest.Process) T {
	t.Helper()
	var result T
	if err := json.Unmarshal([]byte(p.Line()), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// agree checks that numbers are the same within a tolerance, relative to the largest of want.
func agree(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*scale) {
			t.Errorf("%s: value %d is %v, want %v of at most %v", what, i, got[i], want[i], scale)
			return
		}
	}
}

// normalised is what a step through a layer gives: the outputs and the input's gradients, of
// all pictures in turn, the mean of the gradients of parameters, and the running statistics.
type normalised struct {
	Output, Gradient []float32
	Parameters       map[string][]float32
}

// normalise takes a step through a layer for pictures of the joined batch from one on.
func normalise(s *torch.Scope, op nn.Op, group *torch.Group, from, to int) (normalised, error) {
	const c, h, w = 4, 5, 3
	net := &nn.Network{Nodes: []nn.Node{
		{Op: nn.Input, Channels: c}, {Op: op, In: []int{0}, Key: "norm", Channels: c, Affine: true, Group: 2},
	}}
	state := net.Init(5)
	for _, key := range []string{"norm.weight", "norm.bias"} {
		for i := range state[key].Data {
			state[key].Data[i] = float32(i)/4 - 0.3
		}
	}
	m, err := New(s, net, state)
	if err != nil {
		return normalised{}, err
	}
	m.Group = group
	mean := 0
	if op == nn.BatchNorm {
		mean = 100 // which takes four digits off the squares
	}
	var pixels, weights []float32
	for i := from * c * h * w; i < to*c*h*w; i++ {
		// The mean differs between pictures and channels.
		pixels = append(pixels, float32(mean+i/(h*w)%7+i/(c*h*w))+float32(math.Sin(float64(i*i))))
		weights = append(weights, float32(math.Cos(float64(i))))
	}
	x := s.RequireGrad(s.FromFloat32(pixels, to-from, c, h, w))
	y := m.Forward(s, x, Training, 1)[0]
	// The sum over all pictures, as a mean over the ranks.
	world := 1
	if group != nil {
		world = group.World()
	}
	s.Backward(s.MulScalar(s.Sum(s.Mul(s.Mul(y, y), s.FromFloat32(weights, to-from, c, h, w))), float64(world)))
	m.AverageGradients(s)
	r := normalised{Output: s.Float32s(y), Gradient: s.Float32s(s.MulScalar(s.Grad(x), 1/float64(world))), Parameters: gradients(s, m)}
	for _, p := range net.Params() {
		if p.Role.Buffer() {
			r.Parameters[p.Key] = s.Float32s(m.Value(p.Key))
		}
	}
	return r, s.Err()
}

var normOps = []nn.Op{nn.BatchNorm, nn.SwitchWhiten, nn.IterWhiten}

// picturesOfRank is the number of each rank's pictures in TestNormsOfRanks.
const picturesOfRank = 2

func normOfRank(_ context.Context, lib *torch.Library, g *torch.Group) error {
	return lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		for _, op := range normOps {
			r, err := normalise(s, op, g, g.Rank()*picturesOfRank, (g.Rank()+1)*picturesOfRank)
			if err != nil {
				return fmt.Errorf("%s: %w", op, err)
			}
			if err := print(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestNormsOfRanks compares layers with the statistics of the batch with the same layers in
// one process that has the batches of all; batch norm is libtorch's own there.
func TestNormsOfRanks(t *testing.T) {
	for _, world := range []int{2, 3} {
		all := rankstest.Start(t, "norm", world)
		for _, op := range normOps {
			alone(t, func(s *torch.Scope) {
				want, err := normalise(s, op, nil, 0, world*picturesOfRank)
				if err != nil {
					t.Fatal(err)
				}
				var output, gradient []float32
				for rank, p := range all {
					got := results[normalised](t, p)
					output, gradient = append(output, got.Output...), append(gradient, got.Gradient...)
					if len(got.Parameters) != len(want.Parameters) {
						t.Errorf("%s: %d parameters and buffers, want %d", op, len(got.Parameters), len(want.Parameters))
					}
					for key, values := range got.Parameters {
						agree(t, fmt.Sprintf("%s, rank %d of %d, %s", op, rank, world, key), values, want.Parameters[key], 1e-5)
					}
				}
				agree(t, fmt.Sprintf("%s of %d: output", op, world), output, want.Output, 1e-5)
				agree(t, fmt.Sprintf("%s of %d: gradient", op, world), gradient, want.Gradient, 1e-5)
			})
		}
		rankstest.Succeed(t, all)
	}
}

// The steps of TestTrainingOfRanks.
const (
	trainSteps    = 4
	trainPictures = 4 // of all ranks
	trainSide     = 64
	// trainRate is a learning rate at which fresh weights, whose gradients are huge, do not
	// magnify differences in rounding within the steps.
	trainRate = 3e-7
)

// trainMethods are the networks by method.
func trainMethods() []nn.Spec {
	return []nn.Spec{
		small(func(s *nn.Spec) { s.Placement = nn.Placement{} }),
		small(func(*nn.Spec) {}),
		small(func(s *nn.Spec) { s.Placement = nn.Placement{2: nn.SwitchableWhitening, 3: nn.SwitchableWhitening} }),
	}
}

// trained is what a training leaves to compare: CE, the auxiliary one, whitening and their
// sum of each step, averaged over the ranks, the masks and the first layer's weights.
type trained struct {
	Losses  []float32
	Masks   map[string][]byte
	Weights []float32
}

// trainPart takes the steps with pictures of the joined batch from one on.
func trainPart(s *torch.Scope, spec nn.Spec, group *torch.Group, from, to int) (trained, error) {
	net, err := nn.New(spec)
	if err != nil {
		return trained{}, err
	}
	state := net.Init(3)
	if group != nil && group.Rank() != 0 {
		state = net.Init(99) // Broadcast makes them alike
	}
	m, err := New(s, net, state)
	if err != nil {
		return trained{}, err
	}
	m.Group = group
	m.Broadcast(s)
	x, labels := variousPictures(s, spec.Classes)
	// Nothing of the first picture counts, and little of the second.
	s.Call("fill_.Scalar", s.Narrow(labels, 0, 0, 1), IgnoredLabel)
	s.Call("fill_.Scalar", s.Narrow(s.Narrow(labels, 0, 1, 1), 1, 4, trainSide-4), IgnoredLabel)
	x, labels = s.Narrow(x, 0, from, to-from), s.Narrow(labels, 0, from, to-from)

	r := trained{Masks: map[string][]byte{}}
	masks, err := selectMasks(s, m, x)
	if err != nil {
		return trained{}, err
	}
	for name, mask := range masks {
		r.Masks[name] = mask.Uint8()
	}
	o, err := NewObjective(s, net, whiten.Settings{Lambda: 0.6}, masks)
	if err != nil {
		return trained{}, err
	}
	sgd := NewSGD(s, m)
	for step := range trainSteps {
		s.In(func(s *torch.Scope) {
			m.StepSeed = uint64(step)
			var styled *torch.Tensor
			if len(net.Collected()) == 0 {
				styled = s.MulScalar(x, 0.9)
			}
			l, _ := m.Losses(s, x, styled, labels, o)
			values := []float64{s.Item(l.CE), s.Item(l.Aux), s.Item(l.Total), 0}
			if l.Whitening != nil {
				values[3] = s.Item(l.Whitening)
			}
			for _, v := range m.MeanOfRanks(s, values...) {
				r.Losses = append(r.Losses, float32(v))
			}
			s.Backward(l.Total)
			m.AverageGradients(s)
			sgd.Step(s, trainRate)
		})
	}
	r.Weights = s.Float32s(m.Value(net.Params()[0].Key))
	return r, s.Err()
}

// selectMasks selects ISW's masks from the pictures, the other view of which is darker.
func selectMasks(s *torch.Scope, m *Model, x *torch.Tensor) (map[string]whiten.Mask, error) {
	averages := m.NewSensitivities()
	for i := range x.Dim(0) {
		plain := s.Narrow(x, 0, i, 1)
		if err := m.CompareViews(s, s.Mul(plain, s.AddScalar(plain, 0.3)), plain, averages); err != nil {
			return nil, err
		}
	}
	if err := m.MergeSensitivities(s, averages); err != nil {
		return nil, err
	}
	masks := map[string]whiten.Mask{}
	for i, tap := range m.Net.Collected() {
		mean, err := averages[i].Mean()
		if err != nil {
			return nil, err
		}
		if masks[tap.Name], err = (whiten.Selector{Layer: tap.Name, Channels: tap.Channels, Clusters: 3}).Select(mean); err != nil {
			return nil, err
		}
	}
	return masks, nil
}

func trainOfRank(_ context.Context, lib *torch.Library, g *torch.Group) error {
	part := trainPictures / g.World()
	for _, spec := range trainMethods() {
		err := lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
			r, err := trainPart(s, spec, g, g.Rank()*part, (g.Rank()+1)*part)
			if err != nil {
				return err
			}
			return print(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestTrainingOfRanks compares whole trainings with those of one process that has the joined
// batch. One rank has few pixels with labels.
func TestTrainingOfRanks(t *testing.T) {
	const world, lossTolerance = 2, 1e-4
	all := rankstest.Start(t, "train", world)
	for i, spec := range trainMethods() {
		name := []string{"base", "isw", "sw"}[i]
		alone(t, func(s *torch.Scope) {
			want, err := trainPart(s, spec, nil, 0, trainPictures)
			if err != nil {
				t.Fatal(err)
			}
			if selective := name == "isw"; selective != (len(want.Masks) > 0) {
				t.Errorf("%s: %d masks", name, len(want.Masks))
			}
			if first, last := want.Losses[0], want.Losses[4*(trainSteps-1)]; !(last < first*(1-10*lossTolerance)) {
				t.Errorf("%s: the cross-entropy goes from %v to %v, which shows no difference", name, first, last)
			}
			for rank, p := range all {
				got := results[trained](t, p)
				if len(got.Losses) != len(want.Losses) {
					t.Fatalf("%s: %d losses, want %d", name, len(got.Losses), len(want.Losses))
				}
				for at, v := range want.Losses {
					if d := math.Abs(float64(got.Losses[at] - v)); !(d <= lossTolerance*math.Abs(float64(v))) {
						t.Errorf("%s, rank %d, step %d: loss %d is %v, want %v", name, rank, at/4, at%4, got.Losses[at], v)
					}
				}
				for tap, mask := range want.Masks {
					if !slices.Equal(mask, got.Masks[tap]) {
						t.Errorf("%s, rank %d: the mask of %s differs", name, rank, tap)
					}
				}
				agree(t, name+" weights", got.Weights, want.Weights, 1e-3)
			}
		})
	}
	rankstest.Succeed(t, all)
}

// variousPictures is a batch of pictures that differ in brightness, contrast and pattern, so
// that no channel is nearly constant over them: its norm would magnify differences in rounding.
func variousPictures(s *torch.Scope, classes int) (x, labels *torch.Tensor) {
	const n, side = trainPictures, trainSide
	var pixels []float32
	for p := range n {
		for c := range 3 {
			for y := range side {
				for x := range side {
					wave := math.Sin(float64(x)/(1.5+2*float64(p))+float64(c)) * math.Cos(float64(y)/(4-0.7*float64(p)))
					pixels = append(pixels, float32((0.6+0.4*float64(p))*wave+float64((p*2+c)%4)/2-0.7))
				}
			}
		}
	}
	_, labels = batch(s, classes, n, side, side)
	return s.FromFloat32(pixels, n, 3, side, side), labels
}
