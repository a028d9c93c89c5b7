package latency

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
)

// CPU names the processor, and in front of it the board where the kernel knows it, as on a
// Jetson. Where neither is known, it is the architecture.
func CPU() string { return cpuOf(procfs.DefaultMountPoint) }

func cpuOf(proc string) string {
	var parts []string
	if board := line(filepath.Join(proc, "device-tree", "model")); board != "" {
		parts = append(parts, board)
	}
	if fs, err := procfs.NewFS(proc); err == nil {
		if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 && cpus[0].ModelName != "" {
			parts = append(parts, strings.Join(strings.Fields(cpus[0].ModelName), " "))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), runtime.GOARCH)
}

// line returns the text of a small file of the kernel, empty if it cannot be read.
func line(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(strings.Trim(string(text), "\x00\n")), " ")
}
