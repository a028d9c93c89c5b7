package nn

import (
	"fmt"
	"slices"
	"testing"
)

// every calls f with each network of the published placements.
func every(t *testing.T, f func(t *testing.T, n *Network)) {
	t.Helper()
	for _, trunk := range Trunks() {
		for _, head := range Heads() {
			for _, m := range Methods() {
				for _, stride := range []int{8, 16, 32} {
					n := network(t, func(s *Spec) {
						s.Trunk, s.Head, s.Placement, s.OutputStride = trunk, head, placed(t, m), stride
					})
					t.Run(fmt.Sprint(trunk, " ", head, " ", m, " ", stride), func(t *testing.T) { f(t, n) })
				}
			}
		}
	}
}

// TestGraphs checks that what is added and joined fits, at sizes that no stride divides.
func TestGraphs(t *testing.T) {
	every(t, func(t *testing.T, n *Network) {
		for i, node := range n.Nodes {
			channels := 0
			for _, in := range node.In {
				if in < 0 || in >= i {
					t.Fatalf("node %d reads node %d, which is not before it", i, in)
				}
				channels += n.Nodes[in].Channels
			}
			switch node.Op {
			case Concat:
				if node.Channels != channels {
					t.Errorf("node %d joins %d channels to %d", i, channels, node.Channels)
				}
			case Add:
				if 2*node.Channels != channels || n.Nodes[node.In[0]].Channels != node.Channels {
					t.Errorf("node %d adds %d channels in all to %d", i, channels, node.Channels)
				}
			case Split:
				if node.From < 0 || node.From+node.Channels > channels {
					t.Errorf("node %d takes channels %d to %d of %d", i, node.From, node.From+node.Channels, channels)
				}
			}
			if node.Group > 0 && node.Channels%node.Group != 0 {
				t.Errorf("node %d has groups of %d in %d channels", i, node.Group, node.Channels)
			}
		}
		for _, size := range []Size{{97, 161}, {33, 47}, {31, 64}, {1, 1}} {
			sizes := n.Sizes(size)
			for i, node := range n.Nodes {
				if node.Op != Concat && node.Op != Add {
					continue
				}
				for _, in := range node.In {
					if sizes[in] != sizes[i] {
						t.Errorf("at %v, node %d (%s) of size %v reads size %v", size, i, node.Op, sizes[i], sizes[in])
					}
				}
			}
		}
	})
}

// TestKeys checks that no two layers share a parameter, and that inference needs all but the
// auxiliary head.
func TestKeys(t *testing.T) {
	every(t, func(t *testing.T, n *Network) {
		seen := map[string]bool{}
		for _, p := range n.Params() {
			if seen[p.Key] || p.Count() < 1 {
				t.Errorf("%s %v occurs twice or is empty", p.Key, p.Shape)
			}
			seen[p.Key] = true
		}
		needed := n.Needed(n.Logits)
		for i, node := range n.Nodes {
			if training := n.PartOf(i) == "dsn"; training == needed[i] {
				t.Errorf("node %d (%s %s) is needed in inference: %v", i, node.Op, node.Key, needed[i])
			}
		}
	})
}

// TestPlacements compares with the published settings of the methods, and with which of them
// have a whitening loss.
func TestPlacements(t *testing.T) {
	for m, want := range map[Method]struct {
		placement string
		collected int
	}{
		Base: {"0,0,0,0,0,0,0", 0}, IN: {"0,0,3,3,3,0,0", 0}, IBN: {"0,0,4,4,4,0,0", 0}, SW: {"0,0,5,5,5,0,0", 0}, IterNorm: {"0,0,6,6,6,0,0", 0},
		GIW: {"0,0,1,1,1,0,0", 3}, IW: {"0,0,1,1,1,0,0", 3}, IRW: {"0,0,1,1,1,0,0", 3}, ISW: {"0,0,2,2,2,0,0", 3},
	} {
		n := network(t, func(s *Spec) { s.Trunk, s.Placement = ResNet50, placed(t, m) })
		if got := n.Spec.Placement.String(); got != want.placement || len(n.Collected()) != want.collected {
			t.Errorf("%s: placement %s with %d layers in the whitening loss, want %s, %d", m, got, len(n.Collected()), want.placement, want.collected)
		}
	}
}

// TestWhitenGroups compares with the greatest divisors of the channels up to 16.
func TestWhitenGroups(t *testing.T) {
	for trunk, want := range map[Trunk][]int{MobileNetV2: {16, 16, 16}, ResNet50: {16, 16, 16}, ShuffleNetV2: {12, 4, 8}} {
		n := network(t, func(s *Spec) { s.Trunk, s.Placement = trunk, placed(t, SW) })
		var got []int
		for _, tap := range n.Taps {
			got = append(got, n.Nodes[tap.After].Group)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: groups of %v channels, want %v", trunk, got, want)
		}
	}
}

// TestRescale checks that the whitening loss is about what comes before the rescaling.
func TestRescale(t *testing.T) {
	for rescale, want := range map[Rescale]struct {
		op     Op
		params int // 16, 32 and 64 channels, each with a scale and a shift or a matrix and a bias
	}{AffineRescale: {Affine, 2 * (16 + 32 + 64)}, Conv1x1Rescale: {Conv, 16*17 + 32*33 + 64*65}} {
		plain, n := network(t, func(*Spec) {}), network(t, func(s *Spec) { s.Rescale = rescale })
		before, _ := plain.CountParams()
		after, _ := n.CountParams()
		if after-before != want.params {
			t.Errorf("%s adds %d parameters, want %d", rescale, after-before, want.params)
		}
		for _, tap := range n.Collected() {
			if n.Nodes[tap.After].Op != InstNorm || n.Nodes[tap.After+1].Op != want.op {
				t.Errorf("%s: %s is collected behind %s, followed by %s", rescale, tap.Name, n.Nodes[tap.After].Op, n.Nodes[tap.After+1].Op)
			}
		}
	}
}

// TestIdle expects the batch norm of ShuffleNetV2's stem, which checkpoints keep beside the
// instance norm.
func TestIdle(t *testing.T) {
	n := network(t, func(s *Spec) { s.Trunk = ShuffleNetV2 })
	var keys []string
	for _, p := range n.Idle {
		keys = append(keys, p.Key)
	}
	want := []string{"layer0.layer.0.1.weight", "layer0.layer.0.1.bias", "layer0.layer.0.1.running_mean", "layer0.layer.0.1.running_var"}
	if !slices.Equal(keys, want) {
		t.Errorf("idle parameters %v, want %v", keys, want)
	}
	if tap := n.Taps[0]; n.Nodes[tap.After].Op != ReLU {
		t.Errorf("the stem is collected behind %s, not behind the ReLU that works in place", n.Nodes[tap.After].Op)
	}
}

func TestCostRefusesSizes(t *testing.T) {
	n := network(t, func(*Spec) {})
	for _, size := range []Size{{0, 64}, {64, -1}, {1<<16 + 1, 64}, {64, 1 << 62}} {
		if _, err := n.Cost(size); err == nil {
			t.Errorf("%v: no error", size)
		}
	}
}

// TestDilations compares with the published rates of the ASPP and with the strides that the
// trunks turn into dilation. The reference numbers' maps are too small to tell the larger
// rates apart.
func TestDilations(t *testing.T) {
	for stride, want := range map[int]map[string]int{
		8:  {"aspp.features.1.0": 12, "aspp.features.2.0": 24, "aspp.features.3.0": 36, "layer2.0.conv.1.0": 2, "layer3.3.conv.1.0": 4, "layer3.4.conv.1.0": 1},
		16: {"aspp.features.1.0": 6, "aspp.features.2.0": 12, "aspp.features.3.0": 18, "layer2.0.conv.1.0": 1, "layer3.3.conv.1.0": 2, "layer3.4.conv.1.0": 1},
		32: {"aspp.features.1.0": 3, "aspp.features.2.0": 6, "aspp.features.3.0": 9, "layer2.0.conv.1.0": 1, "layer3.3.conv.1.0": 1, "layer3.4.conv.1.0": 1},
	} {
		n := network(t, func(s *Spec) { s.OutputStride = stride })
		for _, node := range n.Nodes {
			if dilation, ok := want[node.Key]; ok && node.Op == Conv && (node.Conv.Dilation != dilation || node.Conv.Padding != dilation) {
				t.Errorf("output stride %d: %s has a dilation of %d and a padding of %d, want %d", stride, node.Key, node.Conv.Dilation, node.Conv.Padding, dilation)
			}
			delete(want, node.Key)
		}
		if len(want) > 0 {
			t.Errorf("output stride %d: there is no %v", stride, want)
		}
	}
}
