// Package published recognises the checkpoints that RobustNet's authors and torchvision
// publish, from the names and shapes of their tensors, and turns them into networks of
// package nn. What a file does not tell is asked for, never guessed, and no weight is left
// at random: whatever does not fit is an error that lists all of it.
package published

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/pth"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// Source is a checkpoint; [pth.File] is one.
type Source interface {
	// Tensors lists the state dict, names without "module.".
	Tensors() []pth.Tensor
	// Float32s returns a tensor's values, row-major.
	Float32s(name string) ([]float32, error)
	// Meta holds numbers and text beside the state dict. Under "command" published
	// checkpoints have the arguments of the training program.
	Meta() map[string]any
}

// Hints are what a user says about a checkpoint; zero values say nothing.
type Hints struct {
	Method       nn.Method
	Placement    *nn.Placement
	OutputStride int
}

// Network is a recognised checkpoint.
type Network struct {
	Spec    nn.Spec
	Method  nn.Method
	Weights nn.State
	// Whitening is nil where the file does not tell the settings.
	Whitening *whiten.Settings
	// Notes say in words what was concluded from what.
	Notes []string
	// Ignored are the tensors that no network needs.
	Ignored []string
}

// Read recognises a training checkpoint of RobustNet. The trunk, its width, the head, the
// number of classes and norms with parameters are told by keys and shapes; other norms, the
// output stride and the settings of the loss by the training command in the file or by the
// hints. The output stride is 16 if nothing tells. Contradictions between the three are
// errors.
//
// Counters of batch norms, classifiers and weights of the loss are ignored. All other keys
// must be those of the network with its shapes; the error lists all that are not.
func Read(file Source, hints Hints) (*Network, error) {
	n, err := read(file, hints)
	if err != nil {
		return nil, fmt.Errorf("recognise checkpoint: %w", err)
	}
	return n, nil
}

func read(file Source, hints Hints) (*Network, error) {
	shapes := shapesOf(file)
	spec, err := recognise(shapes)
	if err != nil {
		return nil, err
	}
	text, _ := file.Meta()["command"].(string)
	cmd, err := parseCommand(text)
	if err != nil {
		return nil, err
	}
	n := &Network{Spec: spec}
	if err := n.chooseStride(cmd, hints); err != nil {
		return nil, err
	}
	if err := n.chooseNorms(shapes, cmd, hints); err != nil {
		return nil, err
	}
	net, err := nn.New(n.Spec)
	if err != nil {
		return nil, err
	}
	if n.Weights, n.Ignored, err = load(file); err != nil {
		return nil, err
	}
	return n, net.Check(n.Weights)
}

// shapesOf returns the shapes of all tensors by name.
func shapesOf(file Source) map[string][]int {
	shapes := map[string][]int{}
	for _, t := range file.Tensors() {
		shapes[t.Name] = t.Shape
	}
	return shapes
}

// load reads all tensors but those that no network needs.
func load(file Source) (weights nn.State, ignored []string, err error) {
	weights = nn.State{}
	for _, t := range file.Tensors() {
		if needless(t.Name) {
			ignored = append(ignored, t.Name)
			continue
		}
		data, err := file.Float32s(t.Name)
		if err != nil {
			return nil, nil, err
		}
		weights[t.Name] = nn.Array{Shape: t.Shape, Data: data}
	}
	return weights, ignored, nil
}

// needless tells the tensors that training programs and torchvision add to a network.
func needless(key string) bool {
	return strings.HasSuffix(key, ".num_batches_tracked") || key == "criterion.weight" ||
		strings.HasPrefix(key, "fc.") || strings.HasPrefix(key, "classifier.")
}

// chooseStride settles the output stride, which leaves no trace in keys and shapes.
func (n *Network) chooseStride(cmd command, hints Hints) error {
	if cmd.trunk != "" && cmd.trunk != n.Spec.Trunk {
		return fmt.Errorf("the keys are those of %s, but the training command in the file says %s; "+
			"the file is not what its command made", n.Spec.Trunk, cmd.arch)
	}
	switch {
	case hints.OutputStride != 0 && cmd.outputStride != 0 && hints.OutputStride != cmd.outputStride:
		return fmt.Errorf("output stride %d is asked for, but the training command in the file says %s, which has %d; "+
			"leave --output-stride out", hints.OutputStride, cmd.arch, cmd.outputStride)
	case hints.OutputStride != 0:
		n.Spec.OutputStride = hints.OutputStride
	case cmd.outputStride != 0:
		n.Spec.OutputStride = cmd.outputStride
		n.note("output stride %d, by %s in the file's training command", cmd.outputStride, cmd.arch)
	default:
		n.note("output stride 16 is assumed, since the file does not tell; --output-stride says otherwise")
	}
	return nil
}

func (n *Network) note(format string, args ...any) {
	n.Notes = append(n.Notes, fmt.Sprintf(format, args...))
}

// some joins the first few of a list for messages.
func some(keys []string) string {
	const few = 5
	text := strings.Join(keys[:min(few, len(keys))], ", ")
	if len(keys) > few {
		text += ", …"
	}
	return text
}

// sortedKeys returns the names of all tensors in order.
func sortedKeys(shapes map[string][]int) []string {
	keys := make([]string, 0, len(shapes))
	for key := range shapes {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
