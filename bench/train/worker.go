package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// workload is what one worker does at each step.
type workload struct {
	batch, side, threads int
	base                 bool // without whitening
}

// answer is a worker's reply to "run N". pytorch.py gives the same.
type answer struct {
	Seconds []float64 `json:"seconds"`
	Loss    float64   `json:"loss"`
	PeakKiB int64     `json:"peak_kib"`
	RSSKiB  []int64   `json:"rss_kib"` // after each step; ours only
}

// work takes training steps of our network as commands ask for them.
func work(load workload, commands io.Reader, answers io.Writer) error {
	lib, err := torch.Load("")
	if err != nil {
		return err
	}
	return lib.Run(torch.Options{Threads: load.threads, Seed: 1}, func(s *torch.Scope) error {
		t, err := newTrainer(s, load)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(commands)
		for lines.Scan() {
			n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "run "))
			if err != nil {
				return fmt.Errorf("command %q: %w", lines.Text(), err)
			}
			var a answer
			for range n {
				start := time.Now()
				a.Loss = t.step(t.x, t.labels)
				a.Seconds = append(a.Seconds, time.Since(start).Seconds())
				a.RSSKiB = append(a.RSSKiB, residentKiB())
			}
			if err := s.Err(); err != nil {
				return err
			}
			a.PeakKiB = peakKiB()
			if err := json.NewEncoder(answers).Encode(a); err != nil {
				return err
			}
		}
		return lines.Err()
	})
}

// trainer takes training steps.
type trainer struct {
	scope     *torch.Scope
	model     *model.Model
	objective model.Objective
	optimiser *model.SGD
	// x and labels are a batch of noise.
	x, labels *torch.Tensor
}

func newTrainer(s *torch.Scope, load workload) (*trainer, error) {
	spec := nn.DefaultSpec()
	if load.base {
		spec.Placement = nn.Placement{}
	}
	net, err := nn.New(spec)
	if err != nil {
		return nil, err
	}
	t := &trainer{scope: s}
	if t.model, err = model.New(s, net, net.Init(1)); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pixels := make([]float32, load.batch*3*load.side*load.side)
	for i := range pixels {
		pixels[i] = float32(rng.NormFloat64())
	}
	classes := make([]int64, load.batch*load.side*load.side)
	for i := range classes {
		classes[i] = rng.Int64N(int64(spec.Classes))
	}
	t.x = s.FromFloat32(pixels, load.batch, 3, load.side, load.side)
	t.labels = s.FromInt64(classes, load.batch, load.side, load.side)
	masks := map[string]whiten.Mask{}
	for _, tap := range net.Collected() {
		masks[tap.Name] = whiten.AllPairs(tap.Channels)
	}
	if t.objective, err = model.NewObjective(s, net, whiten.Settings{Lambda: 1}, masks); err != nil {
		return nil, err
	}
	t.optimiser = model.NewSGD(s, t.model)
	debug.FreeOSMemory() // of the weights' copies in Go
	return t, s.Err()
}

// step takes one step and returns its loss.
func (t *trainer) step(x, labels *torch.Tensor) (loss float64) {
	t.scope.In(func(s *torch.Scope) {
		losses, _ := t.model.Losses(s, x, nil, labels, t.objective)
		s.Backward(losses.Total)
		t.optimiser.Step(s, 0.01)
		loss = s.Item(losses.Total)
	})
	return loss
}

// residentKiB returns the process's resident memory.
func residentKiB() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()) / 1024
}

func peakKiB() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss
}
