// Package nn defines the networks of RobustNet (CVPR 2021) as graphs of layers: trunks,
// whitening layers, heads. A graph is plain data without weights. It is executed by
// package train/model, written as ONNX by package train/export, and counted by
// [Network.Cost]; so every network is defined once.
//
// Parameters carry the names of the published checkpoints, without "module.".
package nn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Trunk is the backbone of a network.
type Trunk string

// The trunks.
const (
	MobileNetV2  Trunk = "mobilenetv2"
	ResNet50     Trunk = "resnet50"
	ResNet101    Trunk = "resnet101" // with a stem of three 3×3 convolutions
	ShuffleNetV2 Trunk = "shufflenetv2"
)

// Trunks lists the trunks.
func Trunks() []Trunk { return []Trunk{MobileNetV2, ResNet50, ResNet101, ShuffleNetV2} }

// Head is what turns a trunk's features into class scores.
type Head string

// The heads.
const (
	// PaperHead is DeepLabV3+ as published with RobustNet.
	PaperHead Head = "paper"
	// LiteHead is DeepLabV3+ on fewer channels and with depthwise separable convolutions.
	LiteHead Head = "lite"
)

// Heads lists the heads.
func Heads() []Head { return []Head{PaperHead, LiteHead} }

// Norm is the layer at one of the seven places of a [Placement]. The numbers up to
// SwitchableWhitening are those of the published wt_layer lists.
type Norm int

// The norms.
const (
	NoNorm              Norm = 0 // what the trunk has without whitening
	InstanceWhitening   Norm = 1 // instance norm; its output is collected for IW, IRW or GIW
	SelectiveWhitening  Norm = 2 // instance norm; its output is collected for ISW
	InstanceNorm        Norm = 3 // instance norm
	AffineInstanceNorm  Norm = 4 // instance norm with scale and shift, as in IBN-Net
	SwitchableWhitening Norm = 5 // mixture of batch and instance whitening
	IterativeNorm       Norm = 6 // batch whitening by Newton's iteration (IterNorm)
)

var normNames = [...]string{"none", "IW", "ISW", "IN", "IBN", "SW", "IterNorm"}

// String returns the short name by which the literature and this program's messages call the
// norm: none, IW, ISW, IN, IBN, SW or IterNorm.
func (n Norm) String() string {
	if n < NoNorm || n > IterativeNorm {
		return fmt.Sprintf("norm %d", int(n))
	}
	return normNames[n]
}

// Collected says whether the output of the norm is subject to a whitening loss.
func (n Norm) Collected() bool { return n == InstanceWhitening || n == SelectiveWhitening }

// Placement says which norm stands at each of the seven places of a trunk: the three
// convolutions of a deep stem (others have only the third) and the ends of the four stages.
type Placement [7]Norm

// ParsePlacement reads seven numbers separated by commas or spaces, as in "0 0 2 2 2 0 0".
func ParsePlacement(text string) (Placement, error) {
	var p Placement
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if len(fields) != len(p) {
		return p, fmt.Errorf("placement %q: it has %d numbers; give 7, such as 0,0,2,2,2,0,0", text, len(fields))
	}
	for i, f := range fields {
		n, err := strconv.Atoi(f)
		if err != nil || n < int(NoNorm) || n > int(IterativeNorm) {
			return p, fmt.Errorf("placement %q: %q is not a norm; use 0 (none), 1 (IW), 2 (ISW), 3 (IN), 4 (IBN), 5 (SW) or 6 (IterNorm)", text, f)
		}
		p[i] = Norm(n)
	}
	return p, nil
}

// String returns the seven numbers, separated by commas.
func (p Placement) String() string {
	text := make([]string, len(p))
	for i, n := range p {
		text[i] = strconv.Itoa(int(n))
	}
	return strings.Join(text, ",")
}

// Has says whether the norm n stands at any place.
func (p Placement) Has(n Norm) bool { return slices.Contains(p[:], n) }

// Method is a way of making a network robust, by the names of the paper's tables.
type Method string

// The methods. GIW is group-wise instance whitening.
const (
	Base     Method = "base"
	IN       Method = "in"
	IBN      Method = "ibn"
	SW       Method = "sw"
	IterNorm Method = "iternorm"
	GIW      Method = "giw"
	IW       Method = "iw"
	IRW      Method = "irw"
	ISW      Method = "isw"
)

var methodNorms = map[Method]Norm{
	Base: NoNorm, IN: InstanceNorm, IBN: AffineInstanceNorm, SW: SwitchableWhitening, IterNorm: IterativeNorm,
	GIW: InstanceWhitening, IW: InstanceWhitening, IRW: InstanceWhitening, ISW: SelectiveWhitening,
}

// Methods lists the methods in the order of the paper's comparison.
func Methods() []Method { return []Method{Base, IN, IBN, SW, IterNorm, GIW, IW, IRW, ISW} }

// Placement returns the published placement of the method: its norm in the stem and at the
// ends of the first two stages.
func (m Method) Placement() (Placement, error) {
	n, ok := methodNorms[m]
	if !ok {
		return Placement{}, fmt.Errorf("unknown method %q; choose one of %s", m, names(Methods()))
	}
	return Placement{0, 0, n, n, n, 0, 0}, nil
}

// Rescale is what follows a whitening layer to give the network back the choice of scale
// and shift (the paper's discussion).
type Rescale string

// The ways of rescaling.
const (
	NoRescale      Rescale = "none"
	AffineRescale  Rescale = "affine"  // a scale and a shift for each channel
	Conv1x1Rescale Rescale = "conv1x1" // a 1×1 convolution with bias
)

// Rescales lists the ways of rescaling.
func Rescales() []Rescale { return []Rescale{NoRescale, AffineRescale, Conv1x1Rescale} }

// Spec says which network to build.
type Spec struct {
	Trunk Trunk `yaml:"trunk" json:"trunk"`
	// Width multiplies the channels of MobileNetV2: 0.5, 0.75 or 1. Other trunks have 1.
	Width float64 `yaml:"width" json:"width"`
	// OutputStride is 8, 16 or 32: the input's size divided by that of the deepest feature.
	OutputStride int       `yaml:"output_stride" json:"output_stride"`
	Head         Head      `yaml:"head" json:"head"`
	Classes      int       `yaml:"classes" json:"classes"`
	Placement    Placement `yaml:"placement,flow" json:"placement"`
	// Rescale follows each norm that is subject to a whitening loss.
	Rescale Rescale `yaml:"rescale" json:"rescale"`
	// WhitenGroup is the greatest number of channels that SwitchableWhitening and
	// IterativeNorm whiten together; 16 is published for the former.
	WhitenGroup int `yaml:"whiten_group" json:"whiten_group"`
}

// DefaultSpec returns the published MobileNetV2 with ISW for 19 classes.
func DefaultSpec() Spec {
	return Spec{
		Trunk: MobileNetV2, Width: 1, OutputStride: 16, Head: PaperHead, Classes: 19,
		Placement: Placement{0, 0, 2, 2, 2, 0, 0}, Rescale: NoRescale, WhitenGroup: 16,
	}
}

// Validate reports everything that is wrong with the specification, joined.
func (s Spec) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains(Trunks(), s.Trunk) {
		bad("trunk %q is unknown; choose one of %s", s.Trunk, names(Trunks()))
	}
	if s.Width != 1 && (s.Trunk != MobileNetV2 || s.Width != 0.5 && s.Width != 0.75) {
		bad("width %v of trunk %s: mobilenetv2 has 0.5, 0.75 and 1, other trunks have 1", s.Width, s.Trunk)
	}
	if !slices.Contains([]int{8, 16, 32}, s.OutputStride) {
		bad("output stride %d: choose 8, 16 or 32", s.OutputStride)
	}
	if !slices.Contains(Heads(), s.Head) {
		bad("head %q is unknown; choose one of %s", s.Head, names(Heads()))
	}
	if s.Classes < 1 || s.Classes > 255 {
		bad("%d classes: 1 to 255 are possible", s.Classes)
	}
	if !slices.Contains(Rescales(), s.Rescale) {
		bad("rescale %q is unknown; choose one of %s", s.Rescale, names(Rescales()))
	}
	if s.WhitenGroup < 1 || s.WhitenGroup > 1024 {
		bad("whitening groups of %d channels: 1 to 1024 are possible", s.WhitenGroup)
	}
	if slices.Contains(Trunks(), s.Trunk) {
		errs = append(errs, s.checkPlacement()...)
	}
	return errors.Join(errs...)
}

// Places returns the indices of the placement that the network has.
func (s Spec) Places() []int {
	places := map[Trunk][]int{
		MobileNetV2: {2, 3, 4, 5}, ResNet50: {2, 3, 4, 5, 6},
		ResNet101: {0, 1, 2, 3, 4, 5, 6}, ShuffleNetV2: {2, 3, 4, 5, 6},
	}[s.Trunk]
	if s.Trunk == ShuffleNetV2 && s.Head == LiteHead {
		places = places[:len(places)-1] // the lite head does without the last convolution
	}
	return places
}

// checkPlacement refuses norms at places that the network has not: the published code
// ignores them, and fails only when it selects masks.
func (s Spec) checkPlacement() []error {
	places := s.Places()
	var errs []error
	for i, n := range s.Placement {
		switch {
		case n < NoNorm || n > IterativeNorm:
			errs = append(errs, fmt.Errorf("placement %s: there is no norm %d", s.Placement, int(n)))
		case n != NoNorm && !slices.Contains(places, i):
			errs = append(errs, fmt.Errorf("placement %s: %s with the %s head has no place %d; places are %v, counted from 0", s.Placement, s.Trunk, s.Head, i, places))
		}
	}
	return errs
}

// names joins a list of named values for messages.
func names[T ~string](list []T) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = string(v)
	}
	return strings.Join(text, ", ")
}

// PictureMean and PictureDeviation are those of ImageNet's pictures, by which trunks expect
// their input to be normalised: of red, green and blue on a scale of 0 to 1.
var (
	PictureMean      = [3]float64{0.485, 0.456, 0.406}
	PictureDeviation = [3]float64{0.229, 0.224, 0.225}
)
