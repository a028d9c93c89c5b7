package published

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/train/nn"
)

// Backbone reads ImageNet weights with torchvision's keys, or those of the published
// ResNet-101 with three convolutions in its stem, for the trunk of a network. It returns
// every parameter and buffer of the trunk but those of the placement's norms and of what
// rescales them, which no backbone has; only the scale and shift of a ResNet's stem serve,
// as in the published code, the norm that stands there. Ignored are the tensors that the
// trunk does not need. What does not fit is listed in the error, all of it.
func Backbone(file Source, net *nn.Network) (trunk nn.State, ignored []string, err error) {
	b, err := newBackbone(file, net)
	if err == nil {
		trunk, ignored, err = b.load()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read backbone: %w", err)
	}
	return trunk, ignored, nil
}

// backbone is a file with the keys of torchvision.
type backbone struct {
	file   Source
	net    *nn.Network
	names  map[string]string // in the file, by the key without prefix
	shapes map[string][]int  // by the key without prefix
}

func newBackbone(file Source, net *nn.Network) (*backbone, error) {
	b := &backbone{file: file, net: net, names: map[string]string{}, shapes: map[string][]int{}}
	for _, t := range file.Tensors() {
		key := plainKey(t.Name)
		if other, ok := b.names[key]; ok {
			return nil, fmt.Errorf("%s and %s are the same key behind different prefixes", other, t.Name)
		}
		b.names[key], b.shapes[key] = t.Name, t.Shape
	}
	switch kind, want := backboneKind(b.shapes), string(net.Spec.Trunk); {
	case b.shapes["final2.0.weight"] != nil:
		return nil, fmt.Errorf("it is a whole segmentation network; import it without --pretrained")
	case kind == "":
		return nil, fmt.Errorf("its keys are not those of torchvision's %s (%s)", want, some(sortedKeys(b.shapes)))
	case kind != want:
		return nil, fmt.Errorf("it is a %s, not a %s; name the trunk that it is, or another file", kind, want)
	}
	return b, b.checkWidth()
}

// checkWidth tells a MobileNetV2 of another width by its stem, so that not every key has to
// be read to see it.
func (b *backbone) checkWidth() error {
	stem := b.shapes["features.0.0.weight"]
	if b.net.Spec.Trunk != nn.MobileNetV2 || len(stem) != 4 {
		return nil
	}
	if width, ok := stemWidths[stem[0]]; ok && width != b.net.Spec.Width {
		return fmt.Errorf("the file has width %v; give --width %v", width, width)
	}
	return nil
}

func (b *backbone) load() (trunk nn.State, ignored []string, err error) {
	trunk = nn.State{}
	var faults []string
	used := map[string]bool{}
	for key, p := range trunkParams(b.net) {
		source := sourceKey(b.net.Spec.Trunk, key)
		shape, ok := b.shapes[source]
		fits := ok && slices.Equal(shape, p.Shape)
		switch {
		case fits:
			data, err := b.file.Float32s(b.names[source])
			if err != nil {
				return nil, nil, err
			}
			used[source] = true
			trunk[key] = nn.Array{Shape: p.Shape, Data: data}
		case p.whitening:
		case ok:
			faults = append(faults, fmt.Sprintf("%s has the shape %v, not %v", source, shape, p.Shape))
			used[source] = true
		default:
			faults = append(faults, source+" is missing")
		}
	}
	ignored, unknown := b.leftovers(used)
	faults = append(faults, unknown...)
	if faults != nil {
		slices.Sort(faults)
		return nil, nil, fmt.Errorf("it does not fit the trunk %s of width %v in %d keys:\n  %s",
			b.net.Spec.Trunk, b.net.Spec.Width, len(faults), strings.Join(faults, "\n  "))
	}
	return trunk, ignored, nil
}

// leftovers sorts the keys that were not used into those that a classifier, or the trunk
// without norms of a placement, needs, and faults.
func (b *backbone) leftovers(used map[string]bool) (ignored, faults []string) {
	spec := b.net.Spec
	spec.Head, spec.Placement = nn.PaperHead, nn.Placement{}
	known := map[string]bool{}
	if plain, err := nn.New(spec); err == nil {
		for key := range trunkParams(plain) {
			known[sourceKey(spec.Trunk, key)] = true
		}
	}
	for _, key := range sortedKeys(b.shapes) {
		switch {
		case used[key]:
		case needless(key) || known[key]:
			ignored = append(ignored, key)
		default:
			faults = append(faults, key+" is unknown")
		}
	}
	return ignored, faults
}

// trunkParam is a parameter of a trunk.
type trunkParam struct {
	nn.Param
	whitening bool // belongs to a norm of the placement or to what rescales it
}

func trunkParams(net *nn.Network) map[string]trunkParam {
	placed := map[int]bool{}
	for _, tap := range net.Taps {
		if tap.Norm != nn.NoNorm {
			placed[tap.After] = true
		}
	}
	params := map[string]trunkParam{}
	for i, node := range net.Nodes {
		if net.PartOf(i) != "trunk" {
			continue
		}
		whitening := placed[i] || strings.HasSuffix(node.Key, ".rescale")
		for _, p := range net.NodeParams(node) {
			params[p.Key] = trunkParam{p, whitening}
		}
	}
	for _, p := range net.Idle {
		params[p.Key] = trunkParam{p, false}
	}
	return params
}

// sourceKey returns what a parameter of a trunk is called in ImageNet weights.
func sourceKey(trunk nn.Trunk, key string) string {
	stage, rest, _ := strings.Cut(key, ".")
	switch trunk {
	case nn.MobileNetV2:
		return mobileNetKey(stage, rest)
	case nn.ShuffleNetV2:
		to := map[string]string{"layer0": "conv1", "layer1": "stage2", "layer2": "stage3", "layer3": "stage4", "layer4": "conv5"}[stage]
		rest = strings.TrimPrefix(rest, "layer.")
		if stage == "layer0" {
			rest = strings.TrimPrefix(rest, "0.")
		}
		return to + "." + rest
	}
	if stage != "layer0" {
		return key
	}
	i, name, _ := strings.Cut(rest, ".")
	return map[string]string{"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}[i] + "." + name
}

// mobileNetKey counts blocks as torchvision does, through all stages.
func mobileNetKey(stage, rest string) string {
	block, name, _ := strings.Cut(rest, ".")
	i, _ := strconv.Atoi(block)
	first := map[string]int{"layer0": 0, "layer1": 2, "layer2": 7, "layer3": 11, "layer4": 18}[stage]
	return fmt.Sprintf("features.%d.%s", first+i, name)
}
