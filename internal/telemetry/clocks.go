package telemetry

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxHertz is beyond any clock.
const maxHertz = 100_000_000_000

// gpuFiles is a GPU in devfreq.
type gpuFiles struct {
	name    string
	load    string // empty where the driver has none
	current string
	limit   string
}

// findGPU returns the GPU, if there is one, as a list.
func findGPU(root string) []gpuFiles {
	dir := filepath.Join(root, "sys/class/devfreq")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		if gpuRank(e.Name()) > 0 {
			found = append(found, e.Name())
		}
	}
	if len(found) == 0 {
		return nil
	}
	name := slices.MinFunc(found, func(a, b string) int { return cmp.Or(gpuRank(b)-gpuRank(a), cmp.Compare(a, b)) })
	path := filepath.Join(dir, name)
	return []gpuFiles{{
		name: tidy(name), load: optional(filepath.Join(path, "device", "load")),
		current: filepath.Join(path, "cur_freq"), limit: filepath.Join(path, "max_freq"),
	}}
}

// gpuRank is how likely a clock in devfreq is that of a GPU's shaders, 0 if it is not at all:
// 17000000.gpu on JetPack 6, ga10b by the name of the chip on JetPack 5. JetPack 7 may have one for
// the graphics clusters, gpu-gpc-0, and others for the GPU's video engines.
func gpuRank(name string) int {
	switch {
	case strings.Contains(name, "gpu-gpc"):
		return 3
	case strings.Contains(name, "gpu-"):
		return 1
	case strings.Contains(name, "gpu"), strings.HasSuffix(name, ".ga10b"), strings.HasSuffix(name, ".gv11b"):
		return 2
	}
	return 0
}

func (g gpuFiles) read() (GPU, error) {
	gpu := GPU{Name: g.name}
	hertz, err := number(g.current, 0, maxHertz)
	if vanished(err) {
		return GPU{}, err
	}
	gpu.FrequencyHertz, gpu.MaxFrequencyHertz = float64(hertz), float64(firstOf(maxHertz, g.limit))
	if g.load != "" {
		if load, loadErr := number(g.load, 0, 1000); loadErr == nil {
			ratio := float64(load) / 1000
			gpu.LoadRatio = &ratio
		}
	}
	if gpu.FrequencyHertz == 0 && gpu.LoadRatio == nil {
		return GPU{}, cmp.Or(err, errNothing)
	}
	return gpu, nil
}

// errNothing is that of a sensor all of whose values are unknown.
var errNothing = errors.New("it tells nothing")

// cpuFiles is a policy of cpufreq.
type cpuFiles struct{ dir, name, cores string }

func findCPUs(root string) []cpuFiles {
	var found []cpuFiles
	for _, dir := range folders(filepath.Join(root, "sys/devices/system/cpu/cpufreq"), "policy") {
		name := filepath.Base(dir)
		cores := cmp.Or(nameIn(filepath.Join(dir, "related_cpus")), strings.TrimPrefix(name, "policy"))
		found = append(found, cpuFiles{dir: dir, name: name, cores: cores})
	}
	return found
}

func (f cpuFiles) read() (CPU, error) {
	if _, err := os.Stat(f.dir); err != nil {
		return CPU{}, err
	}
	const most = maxHertz / 1000 // the files are in kilohertz
	c := CPU{Policy: f.name, Cores: f.cores, Governor: nameIn(filepath.Join(f.dir, "scaling_governor"))}
	hertz := func(files ...string) float64 {
		for i, file := range files {
			files[i] = filepath.Join(f.dir, file)
		}
		return 1000 * float64(firstOf(most, files...))
	}
	c.FrequencyHertz = hertz("scaling_cur_freq", "cpuinfo_cur_freq")
	c.HardwareHertz = hertz("cpuinfo_max_freq")
	c.MaxFrequencyHertz = cmp.Or(hertz("scaling_max_freq"), c.HardwareHertz)
	if c.Governor == "" && c.FrequencyHertz == 0 && c.MaxFrequencyHertz == 0 {
		return CPU{}, errNothing
	}
	return c, nil
}
