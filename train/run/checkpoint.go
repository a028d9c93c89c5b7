package run

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/safetensors"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// maskPrefix precedes the tap's name in the file.
const maskPrefix = "whiten.mask."

// Checkpoint is the state of a training.
type Checkpoint struct {
	Weights nn.State
	// Masks are, by the names of the network's taps, the channel pairs that selective
	// whitening (ISW) suppresses: C×C, row-major, 1 for a selected pair i < j, else 0. There
	// are none before the selection, which no published checkpoint holds.
	Masks map[string][]uint8
}

// check holds the checkpoint against the network.
func (c Checkpoint) check(net *nn.Network) error {
	var misfit *nn.KeyError
	if err := net.Check(c.Weights); errors.As(err, &misfit) {
		const shown = 10
		return fmt.Errorf("%s:\n%s", c.misfit(net.Spec), misfit.List(shown))
	}
	return errors.Join(c.checkFinite(), c.checkMasks(net))
}

// misfit says in a line that the weights are not those of the network, and whose they are if
// another trunk or width explains them.
func (c Checkpoint) misfit(spec nn.Spec) string {
	named := trunkName(spec)
	for _, other := range nn.Trunks() {
		for _, width := range []float64{0.5, 0.75, 1} {
			spec.Trunk, spec.Width = other, width
			if net, err := nn.New(spec); err == nil && net.Check(c.Weights) == nil {
				return fmt.Sprintf("%s names the trunk %s, but the weights are those of %s; one of them is of another run", ConfigFile, named, trunkName(spec))
			}
		}
	}
	return "the weights do not fit the network that " + ConfigFile + " names"
}

func trunkName(spec nn.Spec) string {
	if spec.Trunk == nn.MobileNetV2 {
		return fmt.Sprintf("%s of width %v", spec.Trunk, spec.Width)
	}
	return string(spec.Trunk)
}

func (c Checkpoint) checkFinite() error {
	var bad []string
	for _, key := range slices.Sorted(maps.Keys(c.Weights)) {
		finite := func(v float32) bool { return math.Abs(float64(v)) <= math.MaxFloat32 }
		if i := slices.IndexFunc(c.Weights[key].Data, func(v float32) bool { return !finite(v) }); i >= 0 {
			bad = append(bad, fmt.Sprintf("%s (value %d is %v)", key, i, c.Weights[key].Data[i]))
		}
	}
	if bad != nil {
		return fmt.Errorf("%d weights are not finite, so the training had failed; use an earlier checkpoint:\n  %s", len(bad), strings.Join(bad, "\n  "))
	}
	return nil
}

func (c Checkpoint) checkMasks(net *nn.Network) error {
	if len(c.Masks) == 0 {
		return nil
	}
	var errs []error
	known := map[string]bool{}
	for _, tap := range net.Taps {
		if tap.Norm != nn.SelectiveWhitening {
			continue
		}
		known[tap.Name] = true
		mask, ok := c.Masks[tap.Name]
		if !ok {
			errs = append(errs, fmt.Errorf("the mask of %s is missing though others are there", tap.Name))
		} else if _, err := whiten.ParseMask(tap.Channels, mask); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", tap.Name, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Masks)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("there is a mask of %s, where no selective whitening stands", name))
		}
	}
	return errors.Join(errs...)
}

func (c Checkpoint) write(path string) error {
	var tensors []safetensors.Tensor
	for key, a := range c.Weights {
		tensors = append(tensors, safetensors.New(key, a.Shape, a.Data))
	}
	for tap, mask := range c.Masks {
		side := int(math.Sqrt(float64(len(mask))))
		tensors = append(tensors, safetensors.New(maskPrefix+tap, []int{side, side}, mask))
	}
	return safetensors.Write(path, tensors)
}

// readCheckpoint reads what write wrote. Whether it fits a network is not checked.
func readCheckpoint(path string) (c Checkpoint, err error) {
	f, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%w; copy the whole folder again, or import the weights anew", err)
	}
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c = Checkpoint{Weights: nn.State{}, Masks: map[string][]uint8{}}
	for _, t := range f.Tensors() {
		tap, isMask := strings.CutPrefix(t.Name, maskPrefix)
		if isMask {
			c.Masks[tap], err = safetensors.Read[uint8](f, t.Name)
		} else {
			a := nn.Array{Shape: t.Shape}
			a.Data, err = safetensors.Read[float32](f, t.Name)
			c.Weights[t.Name] = a
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}
