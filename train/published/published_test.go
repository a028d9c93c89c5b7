package published

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/pth"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// file is a checkpoint in memory. Values are the number of the tensor in the order of names.
type file struct {
	shapes map[string][]int
	meta   map[string]any
}

func (f file) Tensors() []pth.Tensor {
	var all []pth.Tensor
	for _, name := range slices.Sorted(maps.Keys(f.shapes)) {
		all = append(all, pth.Tensor{Name: name, DType: "float32", Shape: f.shapes[name]})
	}
	return all
}

func (f file) Float32s(name string) ([]float32, error) {
	data := make([]float32, nn.Param{Shape: f.shapes[name]}.Count())
	if len(data) > 0 {
		i, _ := slices.BinarySearch(slices.Sorted(maps.Keys(f.shapes)), name)
		data[0] = float32(i)
	}
	return data, nil
}

func (f file) Meta() map[string]any { return f.meta }

// keys are tensors by name, put together from the parts that all networks have.
type keys map[string][]int

func (k keys) conv(key string, shape ...int) { k[key+".weight"] = shape }

func (k keys) biased(key string, shape ...int) {
	k[key+".weight"], k[key+".bias"] = shape, shape[:1]
}

func (k keys) norm(key string, channels int) {
	for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
		k[key+"."+name] = []int{channels}
	}
	k[key+".num_batches_tracked"] = []int{}
}

func (k keys) affine(key string, channels int) {
	k[key+".weight"], k[key+".bias"] = []int{channels}, []int{channels}
}

// head is DeepLabV3+ for features of low, aux and deep channels.
func (k keys) head(low, aux, deep, classes int) {
	conv := func(key string, out, in, kernel int) { k.conv(key, out, in, kernel, kernel) }
	for i, kernel := range []int{1, 3, 3, 3} {
		conv(fmt.Sprintf("aspp.features.%d.0", i), 256, deep, kernel)
		k.norm(fmt.Sprintf("aspp.features.%d.1", i), 256)
	}
	conv("aspp.img_conv.0", 256, deep, 1)
	k.norm("aspp.img_conv.1", 256)
	conv("bot_aspp.0", 256, 1280, 1)
	k.norm("bot_aspp.1", 256)
	conv("bot_fine.0", 48, low, 1)
	k.norm("bot_fine.1", 48)
	conv("final1.0", 256, 304, 3)
	k.norm("final1.1", 256)
	conv("final1.3", 256, 256, 3)
	k.norm("final1.4", 256)
	k.biased("final2.0", classes, 256, 1, 1)
	k.biased("dsn.0", 512, aux, 3, 3)
	k.norm("dsn.1", 512)
	k.biased("dsn.4", classes, 512, 1, 1)
}

// mobileNet is the published MobileNetV2: table 2 of Sandler et al., and the prefix of each
// block in the checkpoint.
func mobileNet(classes int) keys {
	k := keys{}
	k.conv("layer0.0.0", 32, 3, 3, 3)
	k.norm("layer0.0.1", 32)
	k.conv("layer0.1.conv.0.0", 32, 1, 3, 3)
	k.norm("layer0.1.conv.0.1", 32)
	k.conv("layer0.1.conv.1", 16, 32, 1, 1)
	k.norm("layer0.1.conv.2", 16)
	in := 16
	for i, out := range []int{24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320} {
		block := fmt.Sprintf("layer1.%d", i)
		if i >= 5 {
			block = fmt.Sprintf("layer2.%d", i-5)
		}
		if i >= 9 {
			block = fmt.Sprintf("layer3.%d", i-9)
		}
		k.conv(block+".conv.0.0", 6*in, in, 1, 1)
		k.norm(block+".conv.0.1", 6*in)
		k.conv(block+".conv.1.0", 6*in, 1, 3, 3)
		k.norm(block+".conv.1.1", 6*in)
		k.conv(block+".conv.2", out, 6*in, 1, 1)
		k.norm(block+".conv.3", out)
		in = out
	}
	k.conv("layer4.0.0", 1280, 320, 1, 1)
	k.norm("layer4.0.1", 1280)
	if classes > 0 {
		k.head(32, 320, 1280, classes)
	}
	return k
}

// resNet has the given numbers of blocks in its stages. The stem is that of ResNet-50, or of
// three 3×3 convolutions.
func resNet(classes int, deepStem bool, blocks ...int) keys {
	k := keys{}
	in := 64
	if deepStem {
		in = 128
		k.conv("layer0.0", 64, 3, 3, 3)
		k.norm("layer0.1", 64)
		k.conv("layer0.3", 64, 64, 3, 3)
		k.norm("layer0.4", 64)
		k.conv("layer0.6", 128, 64, 3, 3)
		k.norm("layer0.7", 128)
	} else {
		k.conv("layer0.0", 64, 3, 7, 7)
		k.norm("layer0.1", 64)
	}
	for s, n := range blocks {
		planes := 64 << s
		for i := range n {
			block := fmt.Sprintf("layer%d.%d", s+1, i)
			k.conv(block+".conv1", planes, in, 1, 1)
			k.norm(block+".bn1", planes)
			k.conv(block+".conv2", planes, planes, 3, 3)
			k.norm(block+".bn2", planes)
			k.conv(block+".conv3", 4*planes, planes, 1, 1)
			k.norm(block+".bn3", 4*planes)
			if i == 0 {
				k.conv(block+".downsample.0", 4*planes, in, 1, 1)
				k.norm(block+".downsample.1", 4*planes)
			}
			in = 4 * planes
		}
	}
	if classes > 0 {
		k.head(256, 1024, 2048, classes)
	}
	return k
}

func shuffleNet(classes int) keys {
	k := keys{}
	k.conv("layer0.layer.0.0", 24, 3, 3, 3)
	k.norm("layer0.layer.0.1", 24)
	in := 24
	for s, n := range []int{4, 8, 4} {
		half := 58 << s
		for i := range n {
			unit := fmt.Sprintf("layer%d.%d", s+1, i)
			right := half
			if i == 0 {
				k.conv(unit+".branch1.0", in, 1, 3, 3)
				k.norm(unit+".branch1.1", in)
				k.conv(unit+".branch1.2", half, in, 1, 1)
				k.norm(unit+".branch1.3", half)
				right = in
			}
			k.conv(unit+".branch2.0", half, right, 1, 1)
			k.norm(unit+".branch2.1", half)
			k.conv(unit+".branch2.3", half, 1, 3, 3)
			k.norm(unit+".branch2.4", half)
			k.conv(unit+".branch2.5", half, half, 1, 1)
			k.norm(unit+".branch2.6", half)
		}
		in = 2 * half
	}
	k.conv("layer4.layer.0", 1024, 464, 1, 1)
	k.norm("layer4.layer.1", 1024)
	if classes > 0 {
		k.head(116, 464, 1024, classes)
	}
	return k
}

// without removes keys that begin with any of the prefixes.
func (k keys) without(prefixes ...string) keys {
	maps.DeleteFunc(k, func(key string, _ []int) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
	})
	return k
}

// with adds instance norms with scale and shift.
func (k keys) with(norms map[string]int) keys {
	for key, channels := range norms {
		k.affine(key, channels)
	}
	return k
}

const mobileCommand = "--local_rank=0 --dataset gtav --arch network.deepv3.DeepMobileNetV3PlusD --lr 0.01 " +
	"--wt_reg_weight 1.0 --relax_denom 0.0 --clusters 20 --cov_stat_epoch 5 --trials 10 --wt_layer 0 0 2 2 2 0 0 --date 0101"

func TestRecognise(t *testing.T) {
	isw := nn.Placement{0, 0, 2, 2, 2, 0, 0}
	for name, c := range map[string]struct {
		keys      keys
		command   string
		hints     Hints
		trunk     nn.Trunk
		method    nn.Method
		placement nn.Placement
		stride    int
		classes   int
		whitening *whiten.Settings
	}{
		"mobilenet by command": {mobileNet(19), mobileCommand, Hints{}, nn.MobileNetV2, nn.ISW, isw, 16, 19, &whiten.Settings{Lambda: 1, Clusters: 20}},
		"mobilenet by method":  {mobileNet(11), "", Hints{Method: nn.ISW}, nn.MobileNetV2, nn.ISW, isw, 16, 11, nil},
		"mobilenet base by method": {mobileNet(19), "", Hints{Method: nn.Base, OutputStride: 8},
			nn.MobileNetV2, nn.Base, nn.Placement{}, 8, 19, nil},
		"mobilenet base by the command's default": {mobileNet(19), "--arch=network.deepv3.DeepMobileNetV3PlusD_OS8 --lr 1", Hints{},
			nn.MobileNetV2, nn.Base, nn.Placement{}, 8, 19, nil},
		"mobilenet ibn by keys": {mobileNet(19).with(map[string]int{"layer0.1.instance_norm_layer": 16, "layer1.4.instance_norm_layer": 32, "layer2.3.instance_norm_layer": 64}),
			"", Hints{}, nn.MobileNetV2, nn.IBN, nn.Placement{0, 0, 4, 4, 4, 0, 0}, 16, 19, nil},
		"mobilenet, command with places that it has not": {mobileNet(19), "--arch network.deepv3.DeepMobileNetV3PlusD --wt_layer 2 0 2 2 2 0 2", Hints{},
			nn.MobileNetV2, nn.ISW, isw, 16, 19, &whiten.Settings{RelaxDenom: 2, Clusters: 50}},
		"mobilenet irw by command": {mobileNet(19), "--arch network.deepv3.DeepMobileNetV3PlusD --wt_layer 0 0 1 1 1 0 0 --relax_d 64 --wt_reg_w 0.6", Hints{},
			nn.MobileNetV2, nn.IRW, nn.Placement{0, 0, 1, 1, 1, 0, 0}, 16, 19, &whiten.Settings{Lambda: 0.6, RelaxDenom: 64, Clusters: 50}},
		"mobilenet giw by method": {mobileNet(19), "", Hints{Method: nn.GIW}, nn.MobileNetV2, nn.GIW, nn.Placement{0, 0, 1, 1, 1, 0, 0}, 16, 19, nil},
		"resnet50 base by keys":   {resNet(19, false, 3, 4, 6, 3), "", Hints{}, nn.ResNet50, nn.Base, nn.Placement{}, 16, 19, nil},
		"resnet50 isw by command": {resNet(19, false, 3, 4, 6, 3).without("layer0.1."),
			"--arch network.deepv3.DeepR50V3PlusD --wt_layer 0 0 2 2 2 0 0 --wt_reg_weight 0.6 --relax_denom 0.0 --clusters 3", Hints{},
			nn.ResNet50, nn.ISW, isw, 16, 19, &whiten.Settings{Lambda: 0.6, Clusters: 3}},
		"resnet50 iw by method": {resNet(19, false, 3, 4, 6, 3).without("layer0.1."), "", Hints{Method: nn.IW},
			nn.ResNet50, nn.IW, nn.Placement{0, 0, 1, 1, 1, 0, 0}, 16, 19, nil},
		"resnet50 ibn by keys": {resNet(19, false, 3, 4, 6, 3).without("layer0.1.").with(map[string]int{"layer0.1": 64, "layer1.2.instance_norm_layer": 256, "layer2.3.instance_norm_layer": 512}),
			"", Hints{}, nn.ResNet50, nn.IBN, nn.Placement{0, 0, 4, 4, 4, 0, 0}, 16, 19, nil},
		"resnet101 isw by command": {resNet(19, true, 3, 4, 23, 3).without("layer0.1.", "layer0.4."),
			"--arch network.deepv3.DeepR101V3PlusD_OS8 --wt_layer 2 2 0 2 2 0 0 --wt_reg_weight 0.6 --relax_denom 0.0 --clusters 3", Hints{},
			nn.ResNet101, nn.ISW, nn.Placement{2, 2, 0, 2, 2, 0, 0}, 8, 19, &whiten.Settings{Lambda: 0.6, Clusters: 3}},
		"resnet101 by placement": {resNet(19, true, 3, 4, 23, 3).without("layer0.1.", "layer0.4."), "",
			Hints{Placement: &nn.Placement{2, 2, 0, 2, 2, 0, 0}, OutputStride: 8}, nn.ResNet101, nn.ISW, nn.Placement{2, 2, 0, 2, 2, 0, 0}, 8, 19, nil},
		"resnet101 base by keys": {resNet(19, true, 3, 4, 23, 3), "", Hints{}, nn.ResNet101, nn.Base, nn.Placement{}, 16, 19, nil},
		"shufflenet isw, with its unused batch norm": {shuffleNet(19), "--arch network.deepv3.DeepShuffleNetV3PlusD_OS32 --wt_layer 0 0 2 2 2 0 0 --relax_denom 0 --clusters 2 --wt_reg_weight 0.8", Hints{},
			nn.ShuffleNetV2, nn.ISW, isw, 32, 19, &whiten.Settings{Lambda: 0.8, Clusters: 2}},
		"shufflenet ibn by keys": {shuffleNet(19).with(map[string]int{"layer0.instance_norm_layer": 24, "layer1.3.instance_norm_layer": 116, "layer2.7.instance_norm_layer": 232}),
			"", Hints{}, nn.ShuffleNetV2, nn.IBN, nn.Placement{0, 0, 4, 4, 4, 0, 0}, 16, 19, nil},
		"another program's command": {resNet(7, false, 3, 4, 6, 3), "train --epochs 3", Hints{}, nn.ResNet50, nn.Base, nn.Placement{}, 16, 7, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.keys["criterion.weight"] = []int{19}
			n, err := Read(file{c.keys, map[string]any{"command": c.command, "epoch": int64(51)}}, c.hints)
			if err != nil {
				t.Fatal(err)
			}
			s := n.Spec
			if s.Trunk != c.trunk || s.Width != 1 || s.Head != nn.PaperHead || s.Classes != c.classes || s.OutputStride != c.stride || s.Placement != c.placement || n.Method != c.method {
				t.Errorf("recognised %+v, method %s", s, n.Method)
			}
			if fmt.Sprint(n.Whitening != nil) != fmt.Sprint(c.whitening != nil) || c.whitening != nil && *n.Whitening != *c.whitening {
				t.Errorf("whitening %+v, want %+v", n.Whitening, c.whitening)
			}
			if !slices.Contains(n.Ignored, "criterion.weight") || !slices.Contains(n.Ignored, "final1.1.num_batches_tracked") {
				t.Errorf("ignored %v", n.Ignored)
			}
			want, _ := file{shapes: c.keys}.Float32s("final1.3.weight")
			if got := n.Weights["final1.3.weight"].Data; got[0] != want[0] || got[0] == 0 {
				t.Errorf("final1.3.weight begins with %v, want %v", got[0], want[0])
			}
		})
	}
}

// TestWidths recognises the networks of package nn that are not published.
func TestWidths(t *testing.T) {
	for _, head := range nn.Heads() {
		for _, width := range []float64{0.5, 0.75, 1} {
			spec := nn.DefaultSpec()
			spec.Width, spec.Head, spec.Classes = width, head, 5
			net, err := nn.New(spec)
			if err != nil {
				t.Fatal(err)
			}
			k := keys{}
			for _, p := range net.Params() {
				k[p.Key] = p.Shape
			}
			n, err := Read(file{shapes: k}, Hints{Method: nn.ISW})
			if err != nil {
				t.Errorf("%s, width %v: %v", head, width, err)
			} else if n.Spec != spec {
				t.Errorf("recognised %+v, want %+v", n.Spec, spec)
			}
		}
	}
}

// TestSwitchable recognises what package nn writes for switchable whitening and IterNorm.
func TestSwitchable(t *testing.T) {
	for method, group := range map[nn.Method]int{nn.SW: 8, nn.IterNorm: 16} {
		spec := nn.DefaultSpec()
		spec.Trunk, spec.WhitenGroup = nn.ResNet50, group
		spec.Placement, _ = method.Placement()
		net, err := nn.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		k := keys{}
		for _, p := range net.Params() {
			k[p.Key] = p.Shape
		}
		n, err := Read(file{shapes: k}, Hints{})
		if err != nil {
			t.Errorf("%s: %v", method, err)
		} else if n.Spec != spec || n.Method != method {
			t.Errorf("recognised %s, %+v; want %+v", n.Method, n.Spec, spec)
		}
	}
}

func TestRefusals(t *testing.T) {
	resNet50 := func() keys { return resNet(19, false, 3, 4, 6, 3) }
	edited := func(k keys, edit func(keys)) keys { edit(k); return k }
	base := Hints{Method: nn.Base}
	for name, c := range map[string]struct {
		keys    keys
		command string
		hints   Hints
		want    []string
	}{
		"mobilenet, nothing tells the norms":      {mobileNet(19), "", Hints{}, []string{"leave no trace", "--method base, iw, irw, isw or in"}},
		"another program's command tells nothing": {mobileNet(19), "--arch deeplab --wt_lr 3", Hints{}, []string{"leave no trace"}},
		"resnet without stem norm":                {resNet50().without("layer0.1."), "", Hints{}, []string{"the stem has no batch norm", "--method"}},
		"method against keys":                     {resNet50(), "", Hints{Method: nn.ISW}, []string{"by --method isw, has ISW at place 2, counted from 0, but by the keys there is none"}},
		"base against keys":                       {resNet50().without("layer0.1."), "", base, []string{"place 2, counted from 0, but by the keys there is IW, ISW or IN"}},
		"method against affine norms":             {mobileNet(19).with(map[string]int{"layer1.4.instance_norm_layer": 32}), "", base, []string{"has none at place 3, counted from 0, but by the keys there is IBN"}},
		"command against keys":                    {mobileNet(19), "--wt_layer 0 0 4 4 4 0 0", Hints{}, []string{"by the training command in the file, has IBN at place 2, counted from 0, but by the keys there is none, IW, ISW or IN", "at place 3", "at place 4"}},
		"method against command":                  {mobileNet(19), mobileCommand, base, []string{"--method base means the placement 0,0,0,0,0,0,0, but the training command in the file says 0,0,2,2,2,0,0"}},
		"iw against command of irw":               {mobileNet(19), "--wt_layer 0 0 1 1 1 0 0 --relax_denom 64", Hints{Method: nn.IW}, []string{"those of irw"}},
		"method against placement":                {mobileNet(19), "", Hints{Method: nn.IW, Placement: &nn.Placement{0, 0, 2, 2, 2, 0, 0}}, []string{"--method iw is given", "those of isw"}},
		"unnamed whitening":                       {mobileNet(19), "", Hints{Placement: &nn.Placement{0, 0, 1, 1, 1, 0, 0}}, []string{"iw, irw and giw"}},
		"a place that the trunk has not":          {mobileNet(19), "", Hints{Placement: &nn.Placement{2, 0, 0, 0, 0, 0, 0}}, []string{"has no place 0"}},
		"unknown method":                          {mobileNet(19), "", Hints{Method: "iws"}, []string{"iws"}},
		"stride against command":                  {mobileNet(19), mobileCommand, Hints{OutputStride: 8}, []string{"output stride 8 is asked for", "DeepMobileNetV3PlusD, which has 16"}},
		"trunk against command":                   {resNet50(), mobileCommand, Hints{}, []string{"the keys are those of resnet50", "DeepMobileNetV3PlusD"}},
		"no such stride":                          {mobileNet(19), "", Hints{Method: nn.ISW, OutputStride: 12}, []string{"output stride 12"}},
		"no such stride in the command":           {mobileNet(19), "--arch network.deepv3.DeepMobileNetV3PlusD_OS99999999999999999999", Hints{}, []string{"output stride"}},
		"placement too short":                     {mobileNet(19), "--wt_layer 0 0 2", Hints{}, []string{"--wt_layer", "it has 3 numbers"}},
		"lambda is no number":                     {mobileNet(19), mobileCommand + " --wt_reg_weight NaN", Hints{}, []string{"--wt_reg_weight has the value \"NaN\""}},
		"missing and extra keys": {edited(mobileNet(19), func(k keys) {
			delete(k, "layer3.6.conv.2.weight")
			delete(k, "dsn.4.bias")
			k["layer5.0.weight"] = []int{2}
			k["bot_fine.0.weight"] = []int{48, 24, 1, 1}
		}), "", base, []string{"2 keys missing:\n  layer3.6.conv.2.weight\n  dsn.4.bias", "bot_fine.0.weight [48 24 1 1], not [48 32 1 1]", "1 keys unknown:\n  layer5.0.weight"}},
		"classes differ between the heads": {edited(mobileNet(19), func(k keys) { k.biased("dsn.4", 11, 512, 1, 1) }), "", base, []string{"dsn.4.weight [11 512 1 1], not [19 512 1 1]"}},
		"no auxiliary head":                {mobileNet(19).without("dsn."), "", base, []string{"keys missing:\n  dsn.0.weight"}},
		"resnet152":                        {resNet(19, false, 3, 8, 36, 3), "", base, []string{"keys unknown", "layer2.7.bn1.bias"}},
		"odd width":                        {edited(mobileNet(19), func(k keys) { k.conv("layer0.0.0", 48, 3, 3, 3) }), "", base, []string{"has 48 channels"}},
		"scalar stem":                      {keys{"layer0.0.0.weight": {}}, "", base, []string{"of no network known here"}},
		"scalar classifier":                {edited(mobileNet(19), func(k keys) { k["final2.0.weight"] = []int{} }), "", base, []string{"final2.0.weight", "has the shape []"}},
		"too many classes":                 {edited(mobileNet(19), func(k keys) { k.conv("final2.0", 1<<40, 256, 1, 1) }), "", base, []string{"1 to 255 are possible"}},
		"trunk alone":                      {mobileNet(0), "", base, []string{"no head"}},
		"an ImageNet backbone":             {torchvision(mobileNet(0)), "", base, []string{"it is a backbone (mobilenetv2)", "--pretrained"}},
		"something else":                   {keys{"encoder.1.weight": {3}, "decoder.2.bias": {4}}, "", base, []string{"of no network known here (decoder.2.bias, encoder.1.weight)"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(file{c.keys, map[string]any{"command": c.command}}, c.hints)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}
