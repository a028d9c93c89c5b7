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

// What precedes names in the file: the tap's of a mask, the parameter's of a velocity.
const (
	maskPrefix     = "whiten.mask."
	velocityPrefix = "optimizer.velocity."
	progressName   = "training.progress"
)

// Checkpoint is the state of a training. All random numbers follow from the seed and the
// iteration, so there is no state of generators.
type Checkpoint struct {
	Weights nn.State
	// Masks are, by the names of the network's taps, the channel pairs that selective
	// whitening (ISW) suppresses: C×C, row-major, 1 for a selected pair i < j, else 0. There
	// are none before the selection, which no published checkpoint holds.
	Masks map[string][]uint8
	// Velocity is SGD's, by the keys of the trained parameters; nil in runs that have not
	// begun to train, and in the best checkpoint.
	Velocity nn.State
	Progress Progress
}

// Progress is how far a training has come.
type Progress struct {
	// Iterations is the number of iterations done.
	Iterations int
	// Seconds is the time that they, the selection of masks and validations took.
	Seconds float64
	// BestMIoU is the best mean mIoU of the validation domains, in points, and BestIteration
	// when it was reached; both are 0 before the first validation. Unimproved counts the
	// validations since then.
	BestMIoU      float64
	BestIteration int
	Unimproved    int
}

// Judge counts a validation of the weights as they are, by its mean mIoU in points, and says
// whether it is the best so far.
func (p *Progress) Judge(miou float64) (best bool) {
	if miou <= p.BestMIoU && p.BestIteration > 0 {
		p.Unimproved++
		return false
	}
	p.BestMIoU, p.BestIteration, p.Unimproved = miou, p.Iterations, 0
	return true
}

// Recount judges all validations of a training, in their order, anew. A checkpoint may be older
// than the validation of its weights.
func (p *Progress) Recount(all []Evaluation) {
	counted := Progress{}
	for len(all) > 0 {
		counted.Iterations = all[0].Iteration
		sum, n := 0.0, 0
		for n < len(all) && all[n].Iteration == counted.Iterations {
			sum += all[n].MIoU
			n++
		}
		counted.Judge(sum / float64(n))
		all = all[n:]
	}
	p.BestMIoU, p.BestIteration, p.Unimproved = counted.BestMIoU, counted.BestIteration, counted.Unimproved
}

// numbers returns the progress as it is saved.
func (p Progress) numbers() []float64 {
	return []float64{float64(p.Iterations), p.Seconds, p.BestMIoU, float64(p.BestIteration), float64(p.Unimproved)}
}

func parseProgress(n []float64) (Progress, error) {
	if len(n) != len(Progress{}.numbers()) {
		return Progress{}, fmt.Errorf("%s has %d numbers, not %d; the file is of another version", progressName, len(n), len(Progress{}.numbers()))
	}
	for _, v := range n {
		if !(v >= 0 && v < 1e15) {
			return Progress{}, fmt.Errorf("%s holds %v; the file is damaged", progressName, v)
		}
	}
	return Progress{int(n[0]), n[1], n[2], int(n[3]), int(n[4])}, nil
}

// check holds the checkpoint against the network.
func (c Checkpoint) check(net *nn.Network) error {
	var misfit *nn.KeyError
	if err := net.Check(c.Weights); errors.As(err, &misfit) {
		const shown = 10
		return fmt.Errorf("%s:\n%s", c.misfit(net.Spec), misfit.List(shown))
	}
	return errors.Join(c.checkFinite(), c.checkMasks(net), c.checkVelocity())
}

// checkVelocity holds the velocities against the weights.
func (c Checkpoint) checkVelocity() error {
	for _, key := range slices.Sorted(maps.Keys(c.Velocity)) {
		if w, ok := c.Weights[key]; !ok || !slices.Equal(w.Shape, c.Velocity[key].Shape) {
			return fmt.Errorf("there is a velocity of %s of shape %v, which is no weight of the network", key, c.Velocity[key].Shape)
		}
	}
	return nil
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
	finite := func(v float32) bool { return math.Abs(float64(v)) <= math.MaxFloat32 }
	for _, prefix := range []string{"", velocityPrefix} {
		state := c.Weights
		if prefix == velocityPrefix {
			state = c.Velocity
		}
		for _, key := range slices.Sorted(maps.Keys(state)) {
			if i := slices.IndexFunc(state[key].Data, func(v float32) bool { return !finite(v) }); i >= 0 {
				bad = append(bad, fmt.Sprintf("%s (value %d is %v)", prefix+key, i, state[key].Data[i]))
			}
		}
	}
	if bad == nil {
		return nil
	}
	const shown = 5
	list := strings.Join(bad[:min(len(bad), shown)], ", ")
	if len(bad) > shown {
		list += ", …"
	}
	return fmt.Errorf("%d weights are not finite, so the training has failed: %s", len(bad), list)
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
	for key, a := range c.Velocity {
		tensors = append(tensors, safetensors.New(velocityPrefix+key, a.Shape, a.Data))
	}
	if c.Progress != (Progress{}) {
		numbers := c.Progress.numbers()
		tensors = append(tensors, safetensors.New(progressName, []int{len(numbers)}, numbers))
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
		if err := c.take(f, t); err != nil {
			return c, err
		}
	}
	return c, nil
}

// take reads one of the file's tensors into its place.
func (c *Checkpoint) take(f *safetensors.File, t safetensors.Info) (err error) {
	if t.Name == progressName {
		numbers, err := safetensors.Read[float64](f, t.Name)
		if err != nil {
			return err
		}
		c.Progress, err = parseProgress(numbers)
		return err
	}
	if tap, ok := strings.CutPrefix(t.Name, maskPrefix); ok {
		c.Masks[tap], err = safetensors.Read[uint8](f, t.Name)
		return err
	}
	a := nn.Array{Shape: t.Shape}
	if a.Data, err = safetensors.Read[float32](f, t.Name); err != nil {
		return err
	}
	if key, ok := strings.CutPrefix(t.Name, velocityPrefix); ok {
		if c.Velocity == nil {
			c.Velocity = nn.State{}
		}
		c.Velocity[key] = a
	} else {
		c.Weights[t.Name] = a
	}
	return nil
}
