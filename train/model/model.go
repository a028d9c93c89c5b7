// Package model executes the networks of package nn on libtorch: forward passes with
// gradients, and the optimiser's steps.
package model

import (
	"fmt"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Mode says what a forward pass is for.
type Mode int

const (
	// Inference uses the running statistics of batch norms.
	Inference Mode = iota
	// Training uses the batch's statistics, updates the running ones, and drops channels of
	// the auxiliary head.
	Training
)

// Model is a network with its weights on a device. One goroutine may use it at a time.
type Model struct {
	Net *nn.Network
	// DropChannels is the probability with which the auxiliary head loses each of its
	// channels in training; 0.1 is published, and what New sets.
	DropChannels float64
	// MixStyle is the probability with which a training pass exchanges the styles of its
	// pictures behind the stem's first activation, see [extra.MixStyle]; New sets 0. Processes
	// of a Group do so each among its own.
	MixStyle float64
	// StepSeed begins the random numbers of a training pass: every pass needs another, the same
	// in all processes.
	StepSeed uint64
	// WatchBatchNorm, unless nil, is called in every pass with each batch norm and the feature
	// that it is about to normalise.
	WatchBatchNorm func(s *torch.Scope, norm nn.Node, x *torch.Tensor)
	// Group is set where several processes train together, each on a part of the same size
	// of a joined batch, in the order of their ranks. Training mode then uses the statistics
	// of the joined batch, so that the means over the processes of losses and gradients are
	// those of one process with the joined batch; see [Model.AverageGradients]. Only MixStyle
	// stays within a part. Passes in training mode and Backward are collective: every process
	// has to call them.
	Group *torch.Group
	// Rounding, unless nil, makes passes compute as an INT8 model does; see [Rounding.Check].
	Rounding *Rounding
	// Literal makes passes use the very operators of the published PyTorch modules, so that
	// they agree with them to the last bit on the same libtorch, BLAS and number of threads.
	// Otherwise faster ones are used that differ in rounding only.
	Literal bool

	weights map[string]*torch.Tensor
	// views is how many views of each picture a pass is about, all of the first in front; 0
	// is one.
	views int
}

// New puts the weights on the device of s, which owns them. State must fit the network.
func New(s *torch.Scope, net *nn.Network, state nn.State) (*Model, error) {
	if err := net.Check(state); err != nil {
		return nil, err
	}
	m := &Model{Net: net, DropChannels: 0.1, weights: map[string]*torch.Tensor{}}
	for _, p := range net.Params() {
		t := s.FromFloat32(state[p.Key].Data, p.Shape...)
		if !p.Role.Buffer() {
			s.RequireGrad(t)
		}
		m.weights[p.Key] = t
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("load weights: %w", err)
	}
	return m, nil
}

// Value returns the tensor of a parameter or buffer, nil if the network has none of the key.
func (m *Model) Value(key string) *torch.Tensor { return m.weights[key] }

// Trained returns the keys of the parameters that are trained, in the network's order.
func (m *Model) Trained() []string {
	var keys []string
	for _, p := range m.Net.Params() {
		if !p.Role.Buffer() {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// State reads the weights back.
func (m *Model) State(s *torch.Scope) (nn.State, error) {
	state := nn.State{}
	for _, p := range m.Net.Params() {
		state[p.Key] = nn.Array{Shape: p.Shape, Data: s.Float32s(m.weights[p.Key])}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read weights: %w", err)
	}
	return state, nil
}

// Fill overwrites the weights, which must fit the network, and keeps their tensors.
func (m *Model) Fill(s *torch.Scope, state nn.State) error {
	if err := m.Net.Check(state); err != nil {
		return err
	}
	for key, a := range state {
		s.Write(m.weights[key], a.Data)
	}
	return s.Err()
}
