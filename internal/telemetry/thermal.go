package telemetry

import (
	"math"
	"path/filepath"
	"strings"
)

const thermalDir = "sys/class/thermal"

// zoneFiles is a thermal zone.
type zoneFiles struct {
	name, kind         string // kind is what the file "type" has in it
	typeFile, tempFile string
}

func findZones(root string) []zoneFiles {
	var found []zoneFiles
	used := names{}
	for _, dir := range folders(filepath.Join(root, thermalDir), "thermal_zone") {
		z := zoneFiles{typeFile: filepath.Join(dir, "type"), tempFile: filepath.Join(dir, "temp")}
		if z.kind = nameIn(z.typeFile); z.kind == "" || !exists(z.tempFile) {
			continue
		}
		z.name = used.unique(z.kind)
		found = append(found, z)
	}
	return found
}

// read returns the temperature. The zone of a part without power has none: it refuses, or says
// a number below any that silicon works at.
func (z zoneFiles) read() (Zone, error) {
	if err := expect(z.typeFile, z.kind); err != nil {
		return Zone{}, err
	}
	const least, most = -60_000, 200_000
	milli, err := number(z.tempFile, least, most)
	return Zone{Name: z.name, Celsius: float64(milli) / 1000}, err
}

// coolingFiles is a cooling device.
type coolingFiles struct {
	name, kind          string
	typeFile, stateFile string
}

func findCooling(root string) []coolingFiles {
	var found []coolingFiles
	used := names{}
	for _, dir := range folders(filepath.Join(root, thermalDir), "cooling_device") {
		c := coolingFiles{typeFile: filepath.Join(dir, "type"), stateFile: filepath.Join(dir, "cur_state")}
		if c.kind = nameIn(c.typeFile); c.kind == "" || !exists(c.stateFile) {
			continue
		}
		c.name = used.unique(c.kind)
		found = append(found, c)
	}
	return found
}

func (c coolingFiles) read() (Cooling, error) {
	if err := expect(c.typeFile, c.kind); err != nil {
		return Cooling{}, err
	}
	state, err := number(c.stateFile, math.MinInt32, math.MaxInt32)
	// Intel's powerclamp says -1 while it does nothing.
	return Cooling{Name: c.name, State: int(max(state, 0)), LimitsClocks: limitsClocks(c.kind)}, err
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
