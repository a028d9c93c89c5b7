// Command train measures training steps of MobileNetV2 with ISW against PyTorch, side by
// side: workers of both kinds take turns on the same machine within one run, so that its
// moods hit both. It prints medians, their ratio, and peak memory; then what ISW adds to a
// step, whether memory stays flat, and what reading and augmenting pictures adds to an
// iteration.
//
// PyTorch runs in a Python with the torch module, such as Debian's python3-torch, which has
// the same libtorch.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
)

func main() {
	var load workload
	worker := flag.Bool("worker", false, "take steps as standard input says (used by the bench itself)")
	flag.IntVar(&load.batch, "batch", 2, "pictures in a batch")
	flag.IntVar(&load.side, "side", 256, "height and width of pictures, pixels")
	flag.IntVar(&load.threads, "threads", 2, "threads of libtorch")
	flag.BoolVar(&load.base, "base", false, "without whitening")
	python := flag.String("python", "/usr/bin/python3", "Python with the torch module")
	script := flag.String("script", "bench/train/pytorch.py", "PyTorch's side of the bench")
	rounds := flag.Int("rounds", 6, "turns of each worker")
	source := flag.String("data", "camvid=../shared/data/camvid:day_train", "data set whose cost is measured; skipped if it is missing")
	only := flag.Bool("data-only", false, "measure the cost of data alone")
	flat := flag.Int("flat", 300, "steps of the memory check")
	flag.Parse()
	err := error(nil)
	if *rounds < 1 || *flat < 1 || load.batch < 1 || load.side < 1 {
		err = errors.New("-rounds, -flat, -batch and -side are 1 or more")
	} else if *worker {
		err = work(load, os.Stdin, os.Stdout)
	} else if *only {
		err = bench{threads: load.threads, rounds: *rounds}.dataCost(*source)
	} else {
		err = bench{source: *source, python: *python, script: *script, threads: load.threads, rounds: *rounds, flat: *flat}.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/train:", err)
		os.Exit(1)
	}
}

type bench struct {
	source                string
	python, script        string
	threads, rounds, flat int
}

func (b bench) run() error {
	fmt.Printf("%-30s %10s %10s %7s %12s %12s\n", "training step, MobileNetV2", "ours", "PyTorch", "ratio", "ours peak", "PyTorch peak")
	for _, load := range []workload{
		{batch: 2, side: 256}, {batch: 2, side: 256, base: true},
		{batch: 4, side: 384}, {batch: 4, side: 384, base: true},
	} {
		load.threads = b.threads
		if err := b.compare(load); err != nil {
			return err
		}
	}
	if err := b.whiteningCost(); err != nil {
		return err
	}
	if err := b.memory(); err != nil {
		return err
	}
	if err := b.dataCost(b.source); err != nil {
		fmt.Println("the cost of data was not measured:", err)
	}
	return nil
}

// compare lets our worker and PyTorch's take turns.
func (b bench) compare(load workload) error {
	ours, err := start(load, os.Args[0], "-worker")
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := start(load, b.python, b.script)
	if err != nil {
		return err
	}
	defer theirs.stop()
	if err := b.takeTurns(ours, theirs); err != nil {
		return err
	}
	fmt.Printf("%-30s %8.0f ms %7.0f ms %7.3f %8.0f MiB %8.0f MiB\n", load, 1e3*ours.median(), 1e3*theirs.median(),
		ours.median()/theirs.median(), float64(ours.peakKiB)/1024, float64(theirs.peakKiB)/1024)
	return nil
}

// whiteningCost lets our worker with and without whitening take turns.
func (b bench) whiteningCost() error {
	for _, load := range []workload{{batch: 2, side: 256}, {batch: 4, side: 384}} {
		load.threads = b.threads
		with, err := start(load, os.Args[0], "-worker")
		if err != nil {
			return err
		}
		defer with.stop()
		load.base = true
		without, err := start(load, os.Args[0], "-worker")
		if err != nil {
			return err
		}
		defer without.stop()
		if err := b.takeTurns(with, without); err != nil {
			return err
		}
		fmt.Printf("ISW adds to a step, batch %d at %d²: %+.1f %%\n", load.batch, load.side, 100*(with.median()/without.median()-1))
	}
	return nil
}

func (b bench) takeTurns(workers ...*worker) error {
	for round := range b.rounds + 1 {
		for _, w := range workers {
			if err := w.take(4); err != nil {
				return err
			}
			if round == 0 {
				w.seconds = nil // warming up
			}
		}
	}
	return nil
}

// memory checks that resident memory does not grow.
func (b bench) memory() error {
	w, err := start(workload{batch: 2, side: 128, threads: b.threads}, os.Args[0], "-worker")
	if err != nil {
		return err
	}
	defer w.stop()
	if err := w.take(b.flat); err != nil {
		return err
	}
	n := min(50, len(w.rssKiB))
	first, last := mean(w.rssKiB[:n]), mean(w.rssKiB[len(w.rssKiB)-n:])
	fmt.Printf("resident memory over %d steps, batch 2 at 128²: first %d steps %.1f MiB, last %d %.1f MiB (%+.2f %%)\n",
		b.flat, n, first/1024, n, last/1024, 100*(last/first-1))
	return nil
}

func mean(values []int64) float64 {
	sum := int64(0)
	for _, v := range values {
		sum += v
	}
	return float64(sum) / float64(max(len(values), 1))
}

// worker is a process that takes training steps.
type worker struct {
	cmd     *exec.Cmd
	in      *os.File
	out     *bufio.Reader
	seconds []float64
	rssKiB  []int64
	peakKiB int64
}

func start(load workload, program string, args ...string) (*worker, error) {
	args = append(args, "--batch", strconv.Itoa(load.batch), "--side", strconv.Itoa(load.side), "--threads", strconv.Itoa(load.threads))
	if load.base {
		args = append(args, "--base")
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	in, toWorker, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w; PyTorch is Debian's package python3-torch", program, err)
	}
	return &worker{cmd: cmd, in: toWorker, out: bufio.NewReader(out)}, nil
}

func (w *worker) take(steps int) error {
	fmt.Fprintf(w.in, "run %d\n", steps)
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s ended: %w; its message is above", w.cmd.Path, err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return fmt.Errorf("%s: answer %q: %w", w.cmd.Path, line, err)
	}
	w.seconds = append(w.seconds, a.Seconds...)
	w.rssKiB = append(w.rssKiB, a.RSSKiB...)
	w.peakKiB = a.PeakKiB
	return nil
}

func (w *worker) stop() {
	w.in.Close()
	w.cmd.Wait()
}

func (w *worker) median() float64 {
	s := slices.Sorted(slices.Values(w.seconds))
	return s[len(s)/2]
}

// String names the workload in tables.
func (l workload) String() string {
	method := "ISW"
	if l.base {
		method = "base"
	}
	return fmt.Sprintf("batch %d at %d², %s", l.batch, l.side, method)
}
