package telemetry

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	all     string // lists what can be chosen
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
		all: filepath.Join(path, "available_frequencies"),
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
	gpu.HardwareHertz = greatest(g.all)
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

// greatest returns the highest frequency of a list, 0 where there is none.
func greatest(path string) float64 {
	text, err := line(path)
	if err != nil {
		return 0
	}
	most := int64(0)
	for _, field := range strings.Fields(text) {
		hertz, err := strconv.ParseInt(field, 10, 64)
		if err != nil || hertz < 0 || hertz > maxHertz {
			return 0
		}
		most = max(most, hertz)
	}
	return float64(most)
}

// coresOff returns the cores that are there and switched off.
func coresOff(root string) []int {
	dir := filepath.Join(root, "sys/devices/system/cpu")
	present, there := cores(filepath.Join(dir, "present"))
	online, known := cores(filepath.Join(dir, "online"))
	if !there || !known {
		return nil
	}
	return slices.DeleteFunc(present, func(n int) bool { return slices.Contains(online, n) })
}

// cores reads a list such as "0-3,6".
func cores(path string) (numbers []int, ok bool) {
	text, err := line(path)
	if err != nil || text == "" {
		return nil, false
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := first, error(nil)
		if isRange {
			last, err2 = strconv.ParseUint(to, 10, 16)
		}
		if err1 != nil || err2 != nil || last < first || last-first >= maxSensors || len(numbers) > maxSensors {
			return nil, false
		}
		for n := first; n <= last; n++ {
			numbers = append(numbers, int(n))
		}
	}
	return numbers, true
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
