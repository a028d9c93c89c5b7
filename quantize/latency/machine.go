package latency

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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

// Policy is how the kernel chooses the frequency of some cores.
type Policy struct {
	// Cores are numbers separated by spaces.
	Cores string `json:"cores"`
	// Governor is the rule, such as performance or schedutil.
	Governor string `json:"governor"`
	// The frequencies are 0 where they are unknown. Max is the limit that is set, for example
	// by nvpmodel, and Hardware what the cores can do.
	CurrentMHz  int `json:"current_mhz"`
	MaxMHz      int `json:"max_mhz"`
	HardwareMHz int `json:"hardware_mhz"`
}

// String is the policy in a line of text.
func (p Policy) String() string {
	text := fmt.Sprintf("cores %s: governor %s", p.Cores, cmp.Or(p.Governor, "unknown"))
	if p.CurrentMHz > 0 {
		text += fmt.Sprintf(", %d MHz", p.CurrentMHz)
	}
	if p.MaxMHz > 0 {
		text += fmt.Sprintf(", at most %d MHz", p.MaxMHz)
	}
	if p.HardwareMHz > p.MaxMHz {
		text += fmt.Sprintf(" (the hardware %d MHz)", p.HardwareMHz)
	}
	return text
}

// Policies returns those of the kernel now, none where it leaves frequencies to the hardware.
func Policies() []Policy { return policiesOf("/sys") }

func policiesOf(sys string) []Policy {
	// Package sysfs of procfs would fail as a whole where a driver lacks one of its files, and
	// reads tables of transitions, which some kernels refuse.
	dirs, err := filepath.Glob(filepath.Join(sys, "devices/system/cpu/cpufreq/policy*"))
	if err != nil {
		return nil
	}
	var policies []Policy
	for _, dir := range dirs {
		p := Policy{
			Cores:       line(filepath.Join(dir, "related_cpus")),
			Governor:    line(filepath.Join(dir, "scaling_governor")),
			CurrentMHz:  cmp.Or(megahertz(filepath.Join(dir, "scaling_cur_freq")), megahertz(filepath.Join(dir, "cpuinfo_cur_freq"))),
			HardwareMHz: megahertz(filepath.Join(dir, "cpuinfo_max_freq")),
		}
		p.MaxMHz = cmp.Or(megahertz(filepath.Join(dir, "scaling_max_freq")), p.HardwareMHz)
		if p.Governor == "" && p.CurrentMHz == 0 && p.MaxMHz == 0 {
			continue
		}
		p.Cores = cmp.Or(p.Cores, strings.TrimPrefix(filepath.Base(dir), "policy"))
		policies = append(policies, p)
	}
	return policies
}

// megahertz reads a file of kilohertz, 0 if there is none or it holds anything else.
func megahertz(path string) int {
	khz, err := strconv.ParseUint(line(path), 10, 32)
	if err != nil {
		return 0
	}
	return int((khz + 500) / 1000)
}

// line returns the text of a small file of the kernel, empty if it cannot be read.
func line(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(strings.Trim(string(text), "\x00\n")), " ")
}
