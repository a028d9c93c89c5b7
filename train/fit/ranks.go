package fit

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// world is the number of processes that train together.
func (t *trainer) world() int {
	if t.Group == nil {
		return 1
	}
	return t.Group.World()
}

// rank is the number of this process, from 0.
func (t *trainer) rank() int {
	if t.Group == nil {
		return 0
	}
	return t.Group.Rank()
}

// What a process votes for, see [trainer.agree].
const (
	goOn = iota
	interrupted
	timeUp
)

// errTimeUp ends what is done when MaxTime is over.
var errTimeUp = errors.New("time is up")

// agree returns the highest of the processes' votes to all of them.
func (t *trainer) agree(s *torch.Scope, mine int) (highest int, err error) {
	if t.Group == nil {
		return mine, nil
	}
	votes := make([]float32, timeUp+1)
	votes[mine] = 1
	s.In(func(s *torch.Scope) {
		sum := s.FromFloat32(votes, len(votes))
		s.AllReduce(t.Group, sum)
		votes = s.Float32s(sum)
	})
	for i, n := range votes {
		if n > 0 {
			highest = i
		}
	}
	return highest, s.Err()
}

// checkAlike refuses to train with another process's settings, pictures or checkpoint: the
// processes would wait for each other for ever, or average what does not belong together.
func (t *trainer) checkAlike(s *torch.Scope) error {
	if t.Group == nil {
		return nil
	}
	hash := fnv.New64a()
	// Machines may keep the same pictures in different places.
	c, training := t.run.Config, t.config
	training.Sources, training.Validation, training.Targets = nil, nil, ""
	c.Training, c.Origin, c.Adapted = &training, "", ""
	if err := yaml.NewEncoder(hash).Encode(c); err != nil {
		return err
	}
	for _, set := range t.sources {
		fmt.Fprintln(hash, set.Len())
	}
	for _, tap := range t.run.Net.Collected() {
		fmt.Fprintln(hash, t.run.Masks[tap.Name])
	}
	const exact = 53 // bits of an integer in a float64
	mine := []float64{float64(t.progress.Iterations), float64(hash.Sum64() >> (64 - exact))}
	var first []float64
	s.In(func(s *torch.Scope) {
		shared := s.FromFloat64(mine, len(mine))
		s.Broadcast(t.Group, 0, shared)
		first = s.Float64s(shared)
	})
	if err := s.Err(); err != nil {
		return err
	}
	if !slices.Equal(first, mine) {
		return fmt.Errorf("at iteration %.0f, rank %d has other settings, pictures or masks than rank 0 at iteration %.0f; start all ranks with the same flags, with --resume on the same run folder",
			mine[0], t.rank(), first[0])
	}
	return nil
}

// share gives the first process's progress to all, for it alone validates.
func (t *trainer) share(s *torch.Scope) error {
	if t.Group == nil {
		return nil
	}
	p := t.progress
	numbers := []float64{p.BestMIoU, float64(p.BestIteration), float64(p.Unimproved)}
	s.In(func(s *torch.Scope) {
		shared := s.FromFloat64(numbers, len(numbers))
		s.Broadcast(t.Group, 0, shared)
		numbers = s.Float64s(shared)
	})
	if err := s.Err(); err != nil {
		return err
	}
	t.progress = run.Progress{Iterations: p.Iterations, Seconds: p.Seconds,
		BestMIoU: numbers[0], BestIteration: int(numbers[1]), Unimproved: int(numbers[2])}
	return nil
}

// joinLosses makes the losses of an iteration those of all processes.
func (t *trainer) joinLosses(s *torch.Scope, u *sums) error {
	means := t.model.MeanOfRanks(s, u.loss, u.ce, u.aux, u.whitening)
	if err := s.Err(); err != nil {
		return err
	}
	u.loss, u.ce, u.aux, u.whitening = means[0], means[1], means[2], means[3]
	return nil
}
