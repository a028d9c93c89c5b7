// Guest goes through what may happen to robustnet-edge on a real Debian: it installs the package,
// plugs and unplugs cameras, breaks things, and measures how long pictures stay away. It runs in a
// virtual machine as a unit of systemd, twice: after the first half the machine is booted anew.
// `make test-vm` starts it (docs/vm-tests.md).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// scenario is a thing that happens, and what must come of it. What one leaves behind, the next
// ones find: they are in the order of a camera's life.
type scenario struct {
	name, expected string
	patience       time.Duration
	run            func(ctx context.Context, b *bench) error
}

// boots are the scenarios of each boot of the machine.
var boots = [][]scenario{
	{install, plugIn, list, replug, disconnect, stall, kill, watchdog, reloadGood, reloadBad,
		fullDiskMasks, fullDiskVideo, twoCameras, perDevice},
	{reboot, upgrade, remove, purge},
}

// bench is what scenarios share.
type bench struct {
	task plan.Task
	// seen and recovery are of the scenario that runs.
	seen     []string
	recovery []time.Duration
}

// see notes what came of it, for the report.
func (b *bench) see(format string, args ...any) {
	b.seen = append(b.seen, fmt.Sprintf(format, args...))
}

func main() {
	// The host shows the second serial port to whoever runs the test.
	out, err := os.OpenFile("/dev/ttyS1", os.O_WRONLY, 0)
	if err == nil {
		err = run(out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	var report plan.Report
	b := new(bench)
	if err := errors.Join(plan.Load(plan.Folder, plan.ReportFile, &report), plan.Load(plan.Folder, plan.TaskFile, &b.task)); err != nil {
		return err
	}
	boot := 0
	if len(report.Scenarios) > 0 {
		boot = 1
	}
	for _, s := range boots[boot] {
		if only := b.task.Only; len(only) > 0 && !slices.Contains(only, s.name) && !essential(s) {
			continue
		}
		result := b.try(s)
		report.Scenarios = append(report.Scenarios, result)
		say(out, result)
		if err := plan.Save(plan.Folder, plan.ReportFile, report); err != nil {
			return err
		}
		if result.Fault != "" && s.name == install.name {
			keepArtefacts(boot)
			report.Fault = "without \"" + s.name + "\" there is nothing to go on with"
			return plan.Save(plan.Folder, plan.ReportFile, report)
		}
	}
	keepFigures(fmt.Sprintf("boot%d", boot+1))
	keepArtefacts(boot)
	report.Done = boot == len(boots)-1
	return plan.Save(plan.Folder, plan.ReportFile, report)
}

// essential scenarios make what the others need.
func essential(s scenario) bool { return s.name == install.name || s.name == plugIn.name }

func (b *bench) try(s scenario) plan.Scenario {
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	b.seen, b.recovery = nil, nil
	start := time.Now()
	err := s.run(ctx, b)
	result := plan.Scenario{Name: s.name, Expected: s.expected, Recovery: b.recovery, Took: time.Since(start)}
	for i, seen := range b.seen {
		if i > 0 {
			result.Seen += "; "
		}
		result.Seen += seen
	}
	if err != nil {
		result.Fault = err.Error()
		keepFigures("fault " + s.name)
		if e := restore(); e != nil {
			result.Fault += "; nor could its traces be removed: " + e.Error()
		}
	}
	return result
}

func say(out io.Writer, s plan.Scenario) {
	fmt.Fprintf(out, "%s, expected: %s, seen: %s", s.Name, s.Expected, s.Seen)
	if len(s.Recovery) > 0 {
		fmt.Fprintf(out, ", recovery %.1f s", slices.Max(s.Recovery).Seconds())
	}
	fmt.Fprintf(out, ", %.0f s, %s\r\n", s.Took.Seconds(), s.Verdict())
	if s.Fault != "" {
		fmt.Fprintf(out, "    %s\r\n", s.Fault)
	}
}
