package published

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
)

// torchvision renames a trunk's keys as its ImageNet weights are named.
func torchvision(trunk keys) keys {
	replace := strings.NewReplacer( // of the beginning, as all keys are preceded by a space
		" layer0.layer.0.", " conv1.", " layer4.layer.", " conv5.",
		" layer0.0.0.", " features.0.0.", " layer0.0.1.", " features.0.1.", " layer0.1.conv.", " features.1.conv.", " layer4.0.0.", " features.18.0.", " layer4.0.1.", " features.18.1.",
		" layer0.0.", " conv1.", " layer0.1.", " bn1.", " layer0.3.", " conv2.", " layer0.4.", " bn2.", " layer0.6.", " conv3.", " layer0.7.", " bn3.",
	)
	renamed := keys{}
	for key, shape := range trunk {
		name := strings.TrimSpace(replace.Replace(" " + key))
		var stage, block int
		if n, _ := fmt.Sscanf(name, "layer%d.%d.", &stage, &block); n == 2 {
			old := fmt.Sprintf("layer%d.%d.", stage, block)
			switch rest := strings.TrimPrefix(name, old); {
			case strings.HasPrefix(rest, "conv."):
				name = fmt.Sprintf("features.%d.%s", []int{0, 2, 7, 11}[stage]+block, rest)
			case strings.HasPrefix(rest, "branch"):
				name = fmt.Sprintf("stage%d.%d.%s", stage+1, block, rest)
			}
		}
		renamed[name] = shape
	}
	return renamed
}

func TestBackbone(t *testing.T) {
	for name, c := range map[string]struct {
		keys    keys
		trunk   nn.Trunk
		method  nn.Method
		head    nn.Head
		ignored []string          // some of them
		pairs   map[string]string // keys in the network and in the file
	}{
		"mobilenet": {torchvision(mobileNet(0)).with(map[string]int{"classifier.1": 1000}), nn.MobileNetV2, nn.ISW, nn.PaperHead,
			[]string{"classifier.1.weight"}, map[string]string{
				"layer0.0.0.weight": "features.0.0.weight", "layer0.1.conv.2.bias": "features.1.conv.2.bias", "layer1.0.conv.0.0.weight": "features.2.conv.0.0.weight",
				"layer1.4.conv.3.running_var": "features.6.conv.3.running_var", "layer2.0.conv.2.weight": "features.7.conv.2.weight",
				"layer3.6.conv.2.weight": "features.17.conv.2.weight", "layer4.0.1.running_mean": "features.18.1.running_mean",
			}},
		"mobilenet, ibn, lite": {torchvision(mobileNet(0)), nn.MobileNetV2, nn.IBN, nn.LiteHead, []string{"features.18.0.weight"}, nil},
		"resnet50": {torchvision(resNet(0, false, 3, 4, 6, 3)).with(map[string]int{"fc": 1000}), nn.ResNet50, nn.ISW, nn.PaperHead,
			[]string{"bn1.weight", "bn1.running_var", "fc.weight"}, map[string]string{"layer0.0.weight": "conv1.weight", "layer4.2.bn3.weight": "layer4.2.bn3.weight", "layer1.0.downsample.0.weight": "layer1.0.downsample.0.weight"}},
		"resnet50, ibn takes the batch norm's scale": {torchvision(resNet(0, false, 3, 4, 6, 3)), nn.ResNet50, nn.IBN, nn.PaperHead,
			[]string{"bn1.running_var"}, map[string]string{"layer0.1.weight": "bn1.weight"}},
		"resnet101": {torchvision(resNet(0, true, 3, 4, 23, 3)), nn.ResNet101, nn.Base, nn.PaperHead, nil, map[string]string{
			"layer0.0.weight": "conv1.weight", "layer0.3.weight": "conv2.weight", "layer0.6.weight": "conv3.weight", "layer0.1.bias": "bn1.bias", "layer0.4.bias": "bn2.bias", "layer0.7.bias": "bn3.bias"}},
		"shufflenet": {torchvision(shuffleNet(0)), nn.ShuffleNetV2, nn.ISW, nn.PaperHead, nil, map[string]string{
			"layer0.layer.0.0.weight": "conv1.0.weight", "layer0.layer.0.1.bias": "conv1.1.bias", "layer2.7.branch2.6.bias": "stage3.7.branch2.6.bias", "layer4.layer.1.bias": "conv5.1.bias"}},
		"shufflenet, sw, lite": {torchvision(shuffleNet(0)), nn.ShuffleNetV2, nn.SW, nn.LiteHead, []string{"conv5.0.weight"}, nil},
	} {
		for _, prefix := range []string{"", "backbone.", "module."} {
			t.Run(name+" "+prefix, func(t *testing.T) {
				source := file{shapes: keys{}}
				for key, shape := range c.keys {
					source.shapes[prefix+key] = shape
				}
				spec := nn.DefaultSpec()
				spec.Trunk, spec.Head = c.trunk, c.head
				spec.Placement, _ = c.method.Placement()
				net, err := nn.New(spec)
				if err != nil {
					t.Fatal(err)
				}
				state, ignored, err := Backbone(source, net)
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range c.ignored {
					if !slices.Contains(ignored, key) {
						t.Errorf("%s is not among the ignored %v", key, ignored)
					}
				}
				for ours, theirs := range c.pairs {
					if want, _ := source.Float32s(prefix + theirs); state[ours].Data[0] != want[0] {
						t.Errorf("%s begins with %v, want %v of %s", ours, state[ours].Data[0], want[0], theirs)
					}
				}
				for _, p := range net.Params() {
					_, filled := state[p.Key]
					theirs := strings.HasPrefix(p.Key, "layer") && !strings.Contains(p.Key, "instance_norm_layer")
					if filled != theirs {
						t.Errorf("%s is filled: %t", p.Key, filled)
					}
				}
			})
		}
	}
}

func TestBackboneRefusals(t *testing.T) {
	mobile := func() keys { return torchvision(mobileNet(0)) }
	for name, c := range map[string]struct {
		keys  keys
		width float64
		want  []string
	}{
		"another trunk":            {torchvision(resNet(0, false, 3, 4, 6, 3)), 1, []string{"it is a resnet50, not a mobilenetv2"}},
		"another width":            {mobile(), 0.5, []string{"read backbone: the file has width 1; give --width 1"}},
		"missing keys":             {mobile().without("features.17.conv.2.weight", "features.9.conv.0.1.running_var"), 1, []string{"in 2 keys:\n  features.17.conv.2.weight is missing\n  features.9.conv.0.1.running_var is missing"}},
		"extra keys":               {mobile().with(map[string]int{"features.19": 8}), 1, []string{"features.19.bias is unknown", "features.19.weight is unknown"}},
		"a segmentation net":       {mobileNet(19), 1, []string{"without --pretrained"}},
		"something else":           {keys{"a": {1}}, 1, []string{"its keys are not those of torchvision's mobilenetv2 (a)"}},
		"the same key twice":       {keys{"a": {1}, "backbone.a": {1}}, 1, []string{"a and backbone.a are the same key"}},
		"nothing":                  {keys{}, 1, []string{"its keys are not"}},
		"resnet101 of torchvision": {torchvision(resNet(0, false, 3, 4, 23, 3)), 1, []string{"one 7×7 convolution, not a mobilenetv2"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := nn.DefaultSpec()
			spec.Width = c.width
			net, err := nn.New(spec)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = Backbone(file{shapes: c.keys}, net)
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
