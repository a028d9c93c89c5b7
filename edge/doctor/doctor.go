// Package doctor finds out what a machine has for the daemon, what is missing, and what makes it
// slow. It looks, and changes nothing.
package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// State is how something was found.
type State string

// The states. What is missing keeps the daemon from doing what it was asked; what is slow, or a
// note, does not.
const (
	OK      State = "ok"
	Note    State = "note"
	Slow    State = "slow"
	Missing State = "missing"
)

// Finding is one thing that was looked at.
type Finding struct {
	// What was looked at, such as "TensorRT".
	What  string `json:"what"`
	State State  `json:"state"`
	// Text says what was found, in one line.
	Text string `json:"text"`
	// Next is what to do about it; empty where there is nothing.
	Next string `json:"next,omitempty"`
}

// Worst is the gravest state of the findings.
func Worst(findings []Finding) State {
	worst, order := OK, []State{OK, Note, Slow, Missing}
	for _, f := range findings {
		if slices.Index(order, f.State) > slices.Index(order, worst) {
			worst = f.State
		}
	}
	return worst
}

// System looks at the files of a system below root, which is "/" but in tests.
type System struct{ Root string }

func (s System) path(elements ...string) string {
	return filepath.Join(append([]string{s.Root}, elements...)...)
}

// text returns the content of a small file of the system, empty if it cannot be read.
func (s System) text(elements ...string) string {
	content, err := os.ReadFile(s.path(elements...))
	if err != nil {
		return ""
	}
	return strings.Trim(strings.TrimSpace(string(content)), "\x00")
}

// Board tells which computer this is, and which release of NVIDIA's system a Jetson has.
func (s System) Board() Finding {
	model, release := s.text("proc/device-tree/model"), s.text("etc/nv_tegra_release")
	system := s.value("etc/os-release", "PRETTY_NAME")
	f := Finding{What: "system", State: OK, Text: strings.Join(slices.DeleteFunc([]string{model, system}, func(t string) bool { return t == "" }), ", ")}
	if release != "" {
		f.Text += ", L4T " + l4t(release)
	}
	if f.Text == "" {
		f.Text = "unknown"
	}
	return f
}

// IsJetson tells whether the computer is one.
func (s System) IsJetson() bool {
	return s.text("etc/nv_tegra_release") != "" || strings.Contains(s.text("proc/device-tree/compatible"), "nvidia,tegra")
}

// l4t shortens a line such as "# R36 (release), REVISION: 4.3, GCID: …" to "36.4.3".
func l4t(line string) string {
	var major int
	var revision string
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == '\n' })
	for _, field := range fields {
		field = strings.TrimSpace(field)
		if _, err := fmt.Sscanf(field, "# R%d", &major); err == nil {
			continue
		}
		if after, ok := strings.CutPrefix(field, "REVISION: "); ok {
			revision = strings.TrimSpace(after)
		}
	}
	if major == 0 || revision == "" {
		first, _, _ := strings.Cut(line, "\n")
		return first
	}
	return fmt.Sprintf("%d.%s", major, revision)
}

// value returns that of a line KEY="value".
func (s System) value(file, key string) string {
	for line := range strings.Lines(s.text(file)) {
		if after, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return strings.Trim(after, `"`)
		}
	}
	return ""
}

// gpuNodes are the devices that CUDA needs on a Jetson, by the list that Ubuntu's snapd keeps.
var gpuNodes = []string{
	"dev/nvmap", "dev/host1x-fence", "dev/nvgpu/igpu0/power", "dev/nvgpu/igpu0/ctrl", "dev/nvgpu/igpu0/as", "dev/nvgpu/igpu0/channel",
	"dev/nvgpu/igpu0/nvsched", "dev/dri/renderD128",
}

// GPUNodes opens the devices that CUDA needs on a Jetson, and says which of them refuse.
func (s System) GPUNodes() Finding {
	f := Finding{What: "GPU devices", State: OK, Text: fmt.Sprintf("all %d can be opened", len(gpuNodes))}
	var refused, absent []string
	for _, node := range gpuNodes {
		file, err := os.OpenFile(s.path(node), os.O_RDWR, 0)
		switch {
		case err == nil:
			file.Close()
		case errors.Is(err, fs.ErrNotExist):
			absent = append(absent, "/"+node)
		default:
			refused = append(refused, fmt.Sprintf("/%s: %v", node, errors.Unwrap(err)))
		}
	}
	switch {
	case len(refused) > 0:
		f.State, f.Text, f.Next = Missing, strings.Join(refused, "; "), "add the user to the groups video and render: usermod -aG video,render USER"
	case len(absent) == len(gpuNodes):
		f.State, f.Text, f.Next = Missing, "none is there", "in a container, run it with --runtime nvidia; on a Jetson, install nvidia-l4t-core"
	case len(absent) > 0: // which ones there are differs between releases
		f.State, f.Text = Note, strings.Join(absent, ", ")+" are not there, which is so in some releases"
	}
	return f
}

// Memory says where memory is short for what takes most, building an engine.
func Memory(availableBytes, builderBytes int64) Finding {
	f := Finding{What: "memory", State: OK, Text: gigabytes(availableBytes) + " are free"}
	if availableBytes > 0 && availableBytes < builderBytes {
		f.State, f.Next = Note, fmt.Sprintf("to build an engine, close other programs or a desktop session, or add swap: TensorRT's builder takes about %s", gigabytes(builderBytes))
	}
	return f
}

func gigabytes(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }
