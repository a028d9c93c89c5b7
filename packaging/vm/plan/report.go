package plan

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Folder is where a booted Debian has the folder that it shares with the host.
const Folder = "/mnt/vm"

// Files in that folder.
const (
	// RunnerFile is the program that goes through the scenarios.
	RunnerFile = "guest"
	// TaskFile tells it what it has; a Task.
	TaskFile = "task.json"
	// ReportFile is what it found; a Report.
	ReportFile = "report.json"
	// PackageFile and NewerFile are the package to install and one of a later version.
	PackageFile, NewerFile = "robustnet-edge.deb", "robustnet-edge-newer.deb"
	// RecordingFile is a recording that ended with its disk full.
	RecordingFile = "full-disk.mp4"
)

// Task is what the host tells the runner.
type Task struct {
	// Emulated machines are slower, so that targets of time are noted and not held.
	Emulated bool
	// Only names the scenarios to go through, besides those that they build on; nothing for all.
	Only []string
}

// Report is what the runner tells the host. It is written after each scenario.
type Report struct {
	Scenarios []Scenario
	// Done is set at the end of the last boot.
	Done bool
	// Fault is why there will be no further boot; nothing if there may be.
	Fault string
}

// Scenario is one of the things that happen to a camera or its computer.
type Scenario struct {
	Name, Expected, Seen string
	// Fault is what was not as expected; nothing if all was.
	Fault string
	// Recovery are the times from the end of each disturbance to the first picture.
	Recovery []time.Duration
	// Took is how long the scenario was.
	Took time.Duration
}

// Verdict is "ok" or "FAILED".
func (s *Scenario) Verdict() string {
	if s.Fault != "" {
		return "FAILED"
	}
	return "ok"
}

// Load reads one of the files as JSON. One that does not exist leaves v as it is.
func Load(folder, name string, v any) error {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// Save writes one of the files as JSON.
func Save(folder, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name), text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
