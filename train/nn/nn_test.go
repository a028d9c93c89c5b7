package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// network builds the published network of a trunk.
func network(t *testing.T, edit func(*Spec)) *Network {
	t.Helper()
	spec := DefaultSpec()
	edit(&spec)
	n, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func placed(t *testing.T, m Method) Placement {
	t.Helper()
	p, err := m.Placement()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestParameterCounts compares with counts made layer by layer from the published code.
func TestParameterCounts(t *testing.T) {
	for _, test := range []struct {
		trunk            Trunk
		method           Method
		train, inference int
	}{
		{MobileNetV2, Base, 14840966, 13355123},
		{MobileNetV2, ISW, 14840966, 13355123},
		{MobileNetV2, IBN, 14841190, 13355347},
		{ResNet50, Base, 45081542, 40351667},
		{ResNet50, ISW, 45081414, 40351539},
		{ResNet50, IBN, 45083078, 40353203},
		{ResNet101, Base, 64197446, 59467571}, // by the same formulas as ResNet-50, with 23 blocks and the deep stem
		{ShuffleNetV2, Base, 12637738, 10488343},
	} {
		t.Run(fmt.Sprint(test.trunk, " ", test.method), func(t *testing.T) {
			n := network(t, func(s *Spec) { s.Trunk, s.Placement = test.trunk, placed(t, test.method) })
			train, inference := n.CountParams()
			if train != test.train || inference != test.inference {
				t.Errorf("%d parameters in training, %d in inference; want %d and %d", train, inference, test.train, test.inference)
			}
		})
	}
}

func TestParts(t *testing.T) {
	want := map[Trunk]map[string]int{
		MobileNetV2:  {"trunk": 2223872, "aspp": 9505280, "bot_aspp": 328192, "bot_fine": 1632, "final1": 1291264, "final2": 4883, "dsn": 1485843},
		ResNet50:     {"trunk": 23508032, "aspp": 15206912, "bot_aspp": 328192, "bot_fine": 12384, "final1": 1291264, "final2": 4883, "dsn": 4729875},
		ShuffleNetV2: {"trunk": 1253604, "aspp": 7604736, "bot_aspp": 328192, "bot_fine": 5664, "final1": 1291264, "final2": 4883, "dsn": 2149395},
	}
	for trunk, parts := range want {
		n := network(t, func(s *Spec) { s.Trunk, s.Placement = trunk, Placement{} })
		costs, err := n.Cost(Size{512, 1024})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, c := range costs {
			if c.Params > 0 {
				got[c.Part] += c.Params
			}
		}
		for p := range parts {
			if got[p] != parts[p] {
				t.Errorf("%s: %s has %d parameters, want %d", trunk, p, got[p], parts[p])
			}
		}
	}
}

// gmac returns the multiply-accumulates of inference, by part, in units of 10⁹.
func gmac(t *testing.T, n *Network, size Size) map[string]float64 {
	t.Helper()
	costs, err := n.Cost(size)
	if err != nil {
		t.Fatal(err)
	}
	sum := map[string]float64{}
	for _, c := range costs {
		if c.Part == "dsn" {
			continue
		}
		sum[c.Part] += float64(c.MACs) / 1e9
		sum["total"] += float64(c.MACs) / 1e9
		if c.Part != "trunk" {
			sum["head"] += float64(c.MACs) / 1e9
		}
	}
	return sum
}

func TestMACs(t *testing.T) {
	for _, test := range []struct {
		trunk Trunk
		size  Size
		want  map[string]float64
	}{
		{MobileNetV2, Size{1024, 2048}, map[string]float64{"total": 142.7, "trunk": 22.4, "aspp": 75.2, "final1": 42.3}},
		{MobileNetV2, Size{512, 1024}, map[string]float64{"total": 35.7}},
		{MobileNetV2, Size{768, 768}, map[string]float64{"total": 40.1}},
		{ResNet50, Size{1024, 2048}, map[string]float64{"total": 553.7, "trunk": 259.4, "aspp": 120.3, "final1": 169.1}},
		{ResNet50, Size{512, 1024}, map[string]float64{"total": 138.4}},
		{ResNet50, Size{768, 768}, map[string]float64{"total": 155.7}},
		{ShuffleNetV2, Size{1024, 2048}, map[string]float64{"total": 117.1, "trunk": 11.6, "aspp": 60.1, "final1": 42.3}},
		{ShuffleNetV2, Size{512, 1024}, map[string]float64{"total": 29.3}},
		{ShuffleNetV2, Size{768, 768}, map[string]float64{"total": 32.9}},
	} {
		got := gmac(t, network(t, func(s *Spec) { s.Trunk = test.trunk }), test.size)
		for part, want := range test.want {
			if math.Abs(got[part]-want) > 0.05+1e-9 {
				t.Errorf("%s at %v: %s takes %.2f GMAC, want %.1f", test.trunk, test.size, part, got[part], want)
			}
		}
	}
}

func TestLiteHeadIsCheap(t *testing.T) {
	for _, trunk := range Trunks() {
		size := Size{512, 1024}
		paper := gmac(t, network(t, func(s *Spec) { s.Trunk = trunk }), size)["head"]
		lite := gmac(t, network(t, func(s *Spec) { s.Trunk, s.Head = trunk, LiteHead }), size)["head"]
		if lite > paper/4 {
			t.Errorf("%s: the lite head takes %.2f GMAC, more than a quarter of the paper head's %.2f", trunk, lite, paper)
		}
	}
}

// TestStrides follows the sizes of the features that the heads read.
func TestStrides(t *testing.T) {
	const side = 256
	for trunk, lowStride := range map[Trunk]int{MobileNetV2: 8, ShuffleNetV2: 8, ResNet50: 4, ResNet101: 4} {
		for _, stride := range []int{8, 16, 32} {
			n := network(t, func(s *Spec) { s.Trunk, s.OutputStride = trunk, stride })
			sizes := n.Sizes(Size{side, side})
			if got := side / sizes[n.Deep].Height; got != stride {
				t.Errorf("%s: the deep feature has stride %d, want %d", trunk, got, stride)
			}
			if got := side / sizes[n.Low].Height; got != lowStride {
				t.Errorf("%s at output stride %d: the low-level feature has stride %d, want %d", trunk, stride, got, lowStride)
			}
			if sizes[n.Logits] != (Size{side, side}) {
				t.Errorf("%s: logits have size %v", trunk, sizes[n.Logits])
			}
		}
	}
}

func TestTapChannels(t *testing.T) {
	for trunk, want := range map[Trunk][]int{
		MobileNetV2: {16, 32, 64}, ResNet50: {64, 256, 512}, ResNet101: {128, 256, 512}, ShuffleNetV2: {24, 116, 232},
	} {
		for _, m := range []Method{ISW, Base} {
			n := network(t, func(s *Spec) { s.Trunk, s.Placement = trunk, placed(t, m) })
			var got []int
			for _, tap := range n.Taps {
				got = append(got, tap.Channels)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: taps have %v channels, want %v", trunk, m, got, want)
			}
		}
	}
}

func TestWidths(t *testing.T) {
	for width, want := range map[float64][]int{0.5: {8, 16, 32}, 0.75: {16, 24, 48}, 1: {16, 32, 64}} {
		n := network(t, func(s *Spec) { s.Width = width })
		for i, tap := range n.Taps {
			if tap.Channels != want[i] {
				t.Errorf("width %v: tap %d has %d channels, want %d", width, i, tap.Channels, want[i])
			}
		}
		if got := n.Nodes[n.Deep].Channels; got != 1280 {
			t.Errorf("width %v: the deep feature has %d channels, want 1280", width, got)
		}
	}
}

func TestInvalidSpecs(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*Spec)
		want string
	}{
		"trunk":              {func(s *Spec) { s.Trunk = "vgg" }, `trunk "vgg" is unknown`},
		"width":              {func(s *Spec) { s.Width = 0.3 }, "mobilenetv2 has 0.5, 0.75 and 1"},
		"width of a ResNet":  {func(s *Spec) { s.Trunk, s.Width = ResNet50, 0.5 }, "other trunks have 1"},
		"output stride":      {func(s *Spec) { s.OutputStride = 12 }, "choose 8, 16 or 32"},
		"head":               {func(s *Spec) { s.Head = "fcn" }, `head "fcn" is unknown`},
		"no classes":         {func(s *Spec) { s.Classes = 0 }, "1 to 255 are possible"},
		"ignored place":      {func(s *Spec) { s.Placement[6] = SelectiveWhitening }, "has no place 6"},
		"place of deep stem": {func(s *Spec) { s.Trunk, s.Placement[0] = ResNet50, AffineInstanceNorm }, "has no place 0"},
		"norm":               {func(s *Spec) { s.Placement[2] = 9 }, "there is no norm 9"},
		"rescale":            {func(s *Spec) { s.Rescale = "conv3x3" }, `rescale "conv3x3" is unknown`},
		"group":              {func(s *Spec) { s.WhitenGroup = 0 }, "groups of 0 channels"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := DefaultSpec()
			test.edit(&spec)
			if _, err := New(spec); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestCheckListsEveryKey(t *testing.T) {
	n := network(t, func(*Spec) {})
	s := n.Init(1)
	if err := n.Check(s); err != nil {
		t.Fatal(err)
	}
	delete(s, "final2.0.bias")
	s["dsn.0.bias"] = Array{Shape: []int{3}, Data: make([]float32, 3)}
	s["fc.weight"] = Array{}
	err := n.Check(s)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"1 keys missing:\n  final2.0.bias", "dsn.0.bias [3], not [512]", "1 keys unknown:\n  fc.weight"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	var keys *KeyError
	if !errors.As(err, &keys) || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("error %q must be of the keys, one a line", err)
	}
	keys.Unknown = []string{"a", "b", "c"}
	if got, want := keys.List(2), "3 keys unknown:\n  a\n  b\n  … and 1 more"; !strings.HasSuffix(got, want) || strings.Count(got, "more") != 1 {
		t.Errorf("the list cut to 2 is %q, want %q at its end", got, want)
	}
}

// TestUnknownTrunk wants one fault and no others that follow from it.
func TestUnknownTrunk(t *testing.T) {
	s := DefaultSpec()
	s.Trunk = "vgg"
	const want = `trunk "vgg" is unknown; choose one of mobilenetv2, resnet50, resnet101, shufflenetv2`
	if err := s.Validate(); err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestNormNames(t *testing.T) {
	if got := fmt.Sprint(NoNorm, InstanceWhitening, SelectiveWhitening, InstanceNorm, AffineInstanceNorm, SwitchableWhitening, IterativeNorm, Norm(-1), Norm(7)); got != "none IW ISW IN IBN SW IterNorm norm -1 norm 7" {
		t.Error(got)
	}
	if got := (Placement{0, 1, 2, 3, 4, 5, 6}).String(); got != "0,1,2,3,4,5,6" {
		t.Errorf("a placement is written as %s", got)
	}
}

func TestInitIsHe(t *testing.T) {
	n := network(t, func(*Spec) {})
	a := n.Init(1)["aspp.features.1.0.weight"]
	sum, squares := 0.0, 0.0
	for _, v := range a.Data {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	count := float64(len(a.Data))
	std, want := math.Sqrt(squares/count), math.Sqrt(2.0/(1280*9))
	if math.Abs(std/want-1) > 0.01 || math.Abs(sum/count) > want*0.01 {
		t.Errorf("mean %g, standard deviation %g; want 0 and %g", sum/count, std, want)
	}
}

func TestParsePlacement(t *testing.T) {
	p, err := ParsePlacement("0 0 2 2 2 0 0")
	if err != nil || p.String() != "0,0,2,2,2,0,0" {
		t.Errorf("got %v, %v", p, err)
	}
	for _, text := range []string{"", "0,0,2", "0,0,2,2,2,0,x", "0,0,7,0,0,0,0", "0,0,-1,0,0,0,0"} {
		if _, err := ParsePlacement(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	if _, err := Method("wing").Placement(); err == nil || errors.Unwrap(err) != nil {
		t.Errorf("unknown method: %v", err)
	}
}
