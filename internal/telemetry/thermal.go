package telemetry

import (
	"math"
	"path/filepath"
	"strings"
)

const thermalDir = "sys/class/thermal"

// thermalFiles is a thermal zone or a cooling device: a type and a value.
type thermalFiles struct {
	name, kind          string // kind is what the file "type" has in it
	typeFile, valueFile string
}

func findZones(root string) []thermalFiles   { return findThermal(root, "thermal_zone", "temp") }
func findCooling(root string) []thermalFiles { return findThermal(root, "cooling_device", "cur_state") }

func findThermal(root, prefix, value string) []thermalFiles {
	var found []thermalFiles
	used := names{}
	for _, dir := range folders(filepath.Join(root, thermalDir), prefix) {
		f := thermalFiles{typeFile: filepath.Join(dir, "type"), valueFile: filepath.Join(dir, value)}
		if f.kind = nameIn(f.typeFile); f.kind == "" || !exists(f.valueFile) {
			continue
		}
		f.name = used.unique(f.kind)
		found = append(found, f)
	}
	return found
}

// number reads the value, if the files still belong to the same device.
func (f thermalFiles) number(least, most int64) (int64, error) {
	if err := expect(f.typeFile, f.kind); err != nil {
		return 0, err
	}
	return number(f.valueFile, least, most)
}

// zone returns the temperature. The zone of a part without power has none: it refuses, or says
// a number below any that silicon works at.
func (f thermalFiles) zone() (Zone, error) {
	milli, err := f.number(-60_000, 200_000)
	return Zone{Name: f.name, Celsius: float64(milli) / 1000}, err
}

func (f thermalFiles) cooling() (Cooling, error) {
	state, err := f.number(math.MinInt32, math.MaxInt32)
	// Intel's powerclamp says -1 while it does nothing.
	return Cooling{Name: f.name, State: int(max(state, 0)), LimitsClocks: limitsClocks(f.kind)}, err
}

// limitsClocks tells by its name whether a cooling device slows the computer down. Others are
// fans, warnings such as Jetson's hot-surface-alert, and settings that are never 0 such as the
// "TCC Offset" of Intel's processors.
func limitsClocks(kind string) bool {
	if strings.HasSuffix(kind, "-throttle-alert") || kind == "Processor" || kind == "intel_powerclamp" {
		return true
	}
	for _, prefix := range []string{"cpufreq-", "thermal-cpufreq-", "devfreq-", "thermal-devfreq-", "idle-", "thermal-idle-"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}
