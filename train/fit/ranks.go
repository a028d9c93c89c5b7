package fit

import (
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

// agree returns the highest of the processes' numbers, 0 to 2, to all of them.
func (t *trainer) agree(s *torch.Scope, mine int) (highest int, err error) {
	if t.Group == nil {
		return mine, nil
	}
	votes := make([]float32, 3)
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
