package telemetry

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// chips returns the folders of the hardware monitors with this name.
func chips(root, name string) []string {
	return slices.DeleteFunc(folders(filepath.Join(root, "sys/class/hwmon"), "hwmon"), func(dir string) bool {
		return nameIn(filepath.Join(dir, "name")) != name
	})
}

// railFiles is a channel of an INA3221, which measures a voltage and a current.
type railFiles struct {
	name, label               string
	labelFile, volts, amperes string
}

func findRails(root string) []railFiles {
	const channels = 3 // what comes after them are voltages across the shunts, and their sum
	var found []railFiles
	used := names{}
	for _, dir := range chips(root, "ina3221") {
		for n := 1; n <= channels; n++ {
			file := func(kind, what string) string { return filepath.Join(dir, kind+strconv.Itoa(n)+"_"+what) }
			f := railFiles{labelFile: file("in", "label"), volts: file("in", "input"), amperes: file("curr", "input")}
			f.label = nameIn(f.labelFile)
			enabled, err := number(file("in", "enable"), 0, 1)
			// NC says that nothing is connected.
			if f.label == "" || f.label == "NC" || !exists(f.volts) || !exists(f.amperes) || err == nil && enabled == 0 {
				continue
			}
			f.name = used.unique(f.label)
			found = append(found, f)
		}
	}
	return found
}

func (f railFiles) read() (Rail, error) {
	if err := expect(f.labelFile, f.label); err != nil {
		return Rail{}, err
	}
	// The chip goes up to 26 V; the currents are beyond those of any module.
	const mostMillivolts, mostMilliamperes = 30_000, 100_000
	millivolts, err := number(f.volts, 0, mostMillivolts)
	if err != nil {
		return Rail{}, err
	}
	milliamperes, err := number(f.amperes, -mostMilliamperes, mostMilliamperes)
	if err != nil {
		return Rail{}, err
	}
	return Rail{Name: f.name, Watts: float64(millivolts) * float64(milliamperes) / 1e6}, nil
}

// total adds up rails.
type total struct {
	input, sum       float64 // of the rail at the input of the module, and of the others
	hasInput, parted bool
	missing          bool // a rail of the sum could not be read
}

// add takes a rail, which has 0 W if they are not known. Orin Nano and NX measure their input, of which the other rails are parts. AGX
// modules measure what branches off the input, of which VDDQ_VDD2_1V8AO is again a part of
// VIN_SYS_5V0, by NVIDIA's developer guide for Jetson Linux 36.
func (t *total) add(label string, watts float64, known bool) {
	switch label {
	case "VDD_IN", "POM_5V_IN":
		if t.hasInput {
			return // of another board behind the first
		}
		t.hasInput, t.input = true, watts
	case "VDDQ_VDD2_1V8AO":
	default:
		t.parted = t.parted || label == "VIN_SYS_5V0"
		t.sum += watts
		t.missing = t.missing || !known
	}
}

// watts returns the total, 0 if it is not known. Boards of which it is not known how their rails
// relate have none.
func (t *total) watts() float64 {
	switch {
	case t.hasInput:
		return max(t.input, 0)
	case t.parted && !t.missing:
		return max(t.sum, 0)
	}
	return 0
}

// counterFiles is a counter of soctherm_oc.
type counterFiles struct {
	name             string
	cause            Cause
	chipFile, events string
}

// socthermName is that of the driver that counts alarms of Orin's and Thor's supply.
const socthermName = "soctherm_oc"

func findCounters(root string) []counterFiles {
	var found []counterFiles
	used := names{}
	for _, dir := range chips(root, socthermName) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), "_event_cnt")
			digits, oc := strings.CutPrefix(name, "oc")
			if _, err := strconv.ParseUint(digits, 10, 8); !ok || !oc || err != nil {
				continue
			}
			found = append(found, counterFiles{
				name: used.unique(name), cause: causeOf(name), chipFile: filepath.Join(dir, "name"), events: filepath.Join(dir, e.Name()),
			})
		}
	}
	return found
}

func (f counterFiles) read() (Counter, error) {
	if err := expect(f.chipFile, socthermName); err != nil {
		return Counter{}, err
	}
	events, err := number(f.events, 0, math.MaxUint32)
	return Counter{Name: f.name, Cause: f.cause, Events: uint64(events)}, err
}

// readModeID returns what nvpmodel has stored, as in "pmode:0002 fmode:quiet".
func readModeID(root string) (id int, ok bool) {
	text, err := line(filepath.Join(root, "var/lib/nvpmodel/status"))
	if err != nil {
		return 0, false
	}
	for _, field := range strings.Fields(text) {
		if digits, found := strings.CutPrefix(field, "pmode:"); found {
			n, err := strconv.ParseUint(digits, 10, 16)
			return int(n), err == nil
		}
	}
	return 0, false
}

// findModes returns the modes that nvpmodel.conf has, in lines such as
// "< POWER_MODEL ID=2 NAME=MAXN_SUPER >".
func findModes(root string) []PowerMode {
	f, err := os.Open(filepath.Join(root, "etc/nvpmodel.conf"))
	if err != nil {
		return nil
	}
	defer f.Close()
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	var modes []PowerMode
	for row := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.Trim(row, "<> \t\r\n"))
		if len(fields) < 3 || fields[0] != "POWER_MODEL" || len(modes) == maxSensors {
			continue
		}
		digits, hasID := strings.CutPrefix(fields[1], "ID=")
		name, hasName := strings.CutPrefix(fields[2], "NAME=")
		if n, err := strconv.ParseUint(digits, 10, 16); hasID && hasName && err == nil {
			modes = append(modes, PowerMode{ID: int(n), Name: tidy(name)})
		}
	}
	return modes
}
