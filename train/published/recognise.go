package published

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
)

// recognise finds trunk, width, head and classes. The output stride is the published one,
// and there are no norms yet.
func recognise(shapes map[string][]int) (nn.Spec, error) {
	spec := nn.DefaultSpec()
	spec.Placement = nn.Placement{}
	if err := recogniseTrunk(shapes, &spec); err != nil {
		return spec, err
	}
	switch {
	case shapes["final1.0.weight"] != nil:
		spec.Head = nn.PaperHead
	case shapes["final1.0.depthwise.0.weight"] != nil:
		spec.Head = nn.LiteHead
	default:
		return spec, fmt.Errorf("it has the trunk of %s but no head, as final1.0.weight is missing; "+
			"give it with --pretrained if it is a backbone", spec.Trunk)
	}
	classifier := shapes["final2.0.weight"]
	if len(classifier) != 4 {
		return spec, fmt.Errorf("final2.0.weight, which tells the number of classes, has the shape %v and not [classes 256 1 1]", classifier)
	}
	spec.Classes = classifier[0]
	return spec, spec.Validate()
}

// stemWidths are the widths of MobileNetV2 by the channels of its stem.
var stemWidths = map[int]float64{16: 0.5, 24: 0.75, 32: 1}

func recogniseTrunk(shapes map[string][]int, spec *nn.Spec) error {
	mobileStem, resNetStem := shapes["layer0.0.0.weight"], shapes["layer0.0.weight"]
	switch {
	case shapes["layer0.layer.0.0.weight"] != nil:
		spec.Trunk = nn.ShuffleNetV2
	case len(mobileStem) == 4:
		spec.Trunk = nn.MobileNetV2
		width, ok := stemWidths[mobileStem[0]]
		if !ok {
			return fmt.Errorf("the stem of MobileNetV2, layer0.0.0.weight, has %d channels; widths of 0.5, 0.75 and 1 have 16, 24 and 32", mobileStem[0])
		}
		spec.Width = width
	case len(resNetStem) == 4 && resNetStem[2] == 7:
		spec.Trunk = nn.ResNet50
	case len(resNetStem) == 4 && resNetStem[2] == 3:
		spec.Trunk = nn.ResNet101
	default:
		if backbone := backboneKind(shapes); backbone != "" {
			return fmt.Errorf("it is a backbone (%s) without a segmentation head; start a new run from it with --pretrained", backbone)
		}
		return fmt.Errorf("its keys are of no network known here (%s); name a checkpoint of RobustNet, or with --pretrained an ImageNet backbone",
			some(sortedKeys(shapes)))
	}
	return nil
}

// stemPlaces are the places at which a ResNet's norm replaces a batch norm, by the keys they
// share.
var stemPlaces = []string{"layer0.1", "layer0.4", "layer0.7"}

// traces returns, for every place of the trunk, the norms that the keys allow there.
func traces(shapes map[string][]int, spec nn.Spec) map[int][]nn.Norm {
	bare := []nn.Norm{nn.InstanceWhitening, nn.SelectiveWhitening, nn.InstanceNorm}
	allowed := map[int][]nn.Norm{}
	for place, key := range placeKeys(spec) {
		has := func(name string) bool { return shapes[key+"."+name] != nil }
		inStem := slices.Contains(stemPlaces, key)
		switch {
		case has("sw_mean_weight"):
			allowed[place] = []nn.Norm{nn.SwitchableWhitening}
		case has("running_wm"):
			allowed[place] = []nn.Norm{nn.IterativeNorm}
		case inStem && has("running_mean"):
			allowed[place] = []nn.Norm{nn.NoNorm}
		case has("weight"):
			allowed[place] = []nn.Norm{nn.AffineInstanceNorm}
		case inStem:
			allowed[place] = bare
		default:
			allowed[place] = append([]nn.Norm{nn.NoNorm}, bare...)
		}
	}
	return allowed
}

// placeKeys returns the keys that norms of the trunk have, by place.
func placeKeys(spec nn.Spec) map[int]string {
	keys := map[int]string{}
	for place := range spec.Placement {
		spec.Placement = nn.Placement{}
		spec.Placement[place] = nn.AffineInstanceNorm
		if net, err := nn.New(spec); err == nil { // else the trunk has no such place
			keys[place] = net.Nodes[net.Taps[0].After].Key
		}
	}
	return keys
}

// chooseNorms settles placement and method, and takes the settings of the loss over.
func (n *Network) chooseNorms(shapes map[string][]int, cmd command, hints Hints) error {
	allowed := traces(shapes, n.Spec)
	n.dropMissingPlaces(&cmd, allowed)
	p, source, err := placement(allowed, cmd, hints)
	if err != nil {
		return err
	}
	if err := contradictions(p, source, allowed); err != nil {
		return err
	}
	n.Spec.Placement = p
	n.note("norms %s, by %s", p, source)
	for place, key := range placeKeys(n.Spec) {
		if cov := shapes[key+".running_cov"]; p[place] == nn.SwitchableWhitening && len(cov) == 3 {
			n.Spec.WhitenGroup = cov[1]
		}
	}
	if n.Method, err = method(p, cmd, hints); err != nil {
		return err
	}
	if hasLoss := p.Has(nn.InstanceWhitening) || p.Has(nn.SelectiveWhitening); hasLoss && cmd.placement != nil {
		n.Whitening = &cmd.whitening
	}
	return nil
}

// contradictions lists the places where the placement has what the keys exclude.
func contradictions(p nn.Placement, source string, allowed map[int][]nn.Norm) error {
	var errs []error
	for place, norm := range p {
		if norms, ok := allowed[place]; ok && !slices.Contains(norms, norm) {
			errs = append(errs, fmt.Errorf("placement %s, by %s, has %s at place %d, counted from 0, but by the keys there is %s",
				p, source, norm, place, anyOf(norms)))
		}
	}
	return errors.Join(errs...)
}

// anyOf joins norms for messages, as in "none, IW or ISW".
func anyOf(norms []nn.Norm) string {
	text := norms[0].String()
	for i, n := range norms[1:] {
		if i == len(norms)-2 {
			text += " or " + n.String()
		} else {
			text += ", " + n.String()
		}
	}
	return text
}

// dropMissingPlaces clears what the published program was told about places that the trunk
// has not: it ignores them, as it ignores switchable whitening outside ResNets.
func (n *Network) dropMissingPlaces(cmd *command, allowed map[int][]nn.Norm) {
	if cmd.placement == nil {
		return
	}
	told := *cmd.placement
	for place, norm := range told {
		onlyResNets := norm > nn.AffineInstanceNorm && (n.Spec.Trunk == nn.MobileNetV2 || n.Spec.Trunk == nn.ShuffleNetV2)
		if _, ok := allowed[place]; !ok || onlyResNets {
			cmd.placement[place] = nn.NoNorm
		}
	}
	if told != *cmd.placement {
		n.note("the training command says %s, of which %s has %s", told, n.Spec.Trunk, *cmd.placement)
	}
}

// placement returns where which norms stand, and what tells so.
func placement(allowed map[int][]nn.Norm, cmd command, hints Hints) (p nn.Placement, source string, err error) {
	if hints.Placement != nil {
		p, source = *hints.Placement, "--placement"
	} else if hints.Method != "" {
		if p, err = hints.Method.Placement(); err != nil {
			return p, "", err
		}
		source = "--method " + string(hints.Method)
	}
	switch {
	case source != "" && cmd.placement != nil && p != *cmd.placement:
		return p, "", fmt.Errorf("%s means the placement %s, but the training command in the file says %s; leave the flag out", source, p, *cmd.placement)
	case source != "":
		return p, source, nil
	case cmd.placement != nil:
		return *cmd.placement, "the training command in the file", nil
	}
	return fromKeys(allowed)
}

// fromKeys returns the placement if the keys alone tell it: in ResNets, whose published
// placements all begin in the stem, and where norms have parameters, which are not mixed
// with others.
func fromKeys(allowed map[int][]nn.Norm) (p nn.Placement, source string, err error) {
	const ask = "say --method base, iw, irw, isw or in, or --placement with seven numbers"
	told := false
	for place, norms := range allowed {
		switch {
		case !slices.Contains(norms, nn.NoNorm) && len(norms) > 1:
			return p, "", fmt.Errorf("the stem has no batch norm, so an instance norm without parameters stands there; "+
				"which method it belongs to, and whether others follow, leaves no trace in the keys, and the file holds no training command: %s", ask)
		case len(norms) == 1:
			p[place], told = norms[0], true
		}
	}
	if !told {
		return p, "", fmt.Errorf("instance norms without parameters leave no trace in the keys of this trunk, and the file holds no training command: %s", ask)
	}
	return p, "the keys", nil
}

// method returns the method that is meant by a placement.
func method(p nn.Placement, cmd command, hints Hints) (nn.Method, error) {
	var m nn.Method
	switch {
	case p.Has(nn.SelectiveWhitening):
		m = nn.ISW
	case p.Has(nn.InstanceWhitening):
		switch {
		case cmd.placement == nil && hints.Method == "":
			return "", fmt.Errorf("placement %s is that of iw, irw and giw; say which with --method", p)
		case cmd.placement == nil:
			m = hints.Method
		case cmd.whitening.RelaxDenom == 0:
			m = nn.IW
		default:
			m = nn.IRW
		}
	default:
		for _, candidate := range nn.Methods() {
			if run.CheckMethod(candidate, p) == nil {
				m = candidate // of a mixture, the last in the order of the paper's comparison
			}
		}
	}
	if hints.Method != "" && hints.Method != m {
		return "", fmt.Errorf("--method %s is given, but placement and training command are those of %s; leave the flag out", hints.Method, m)
	}
	return m, run.CheckMethod(m, p)
}

// backboneKind names the network whose ImageNet weights these are, "" if none is known.
func backboneKind(shapes map[string][]int) string {
	has := func(key string) bool { return shapes[key] != nil }
	switch {
	case has("features.0.0.weight") && has("features.18.0.weight"):
		return string(nn.MobileNetV2)
	case has("conv5.0.weight") && has("stage2.0.branch1.0.weight"):
		return string(nn.ShuffleNetV2)
	case has("conv1.weight") && has("conv3.weight") && has("layer3.22.conv1.weight"):
		return string(nn.ResNet101)
	case has("conv1.weight") && has("layer3.22.conv1.weight"):
		return "resnet101 with a stem of one 7×7 convolution"
	case has("conv1.weight") && has("layer3.5.conv3.weight"):
		return string(nn.ResNet50)
	}
	return ""
}

// plainKey strips what wrappers put before a backbone's keys.
func plainKey(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, "module."), "backbone.")
}
