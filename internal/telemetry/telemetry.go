// Package telemetry reads what a computer says about its temperatures, clocks, power and
// throttling, from sysfs and the files of nvpmodel. It knows the names of NVIDIA's Jetson
// boards and works on any Linux machine, where it finds less. It looks, and changes nothing;
// neither does it need root, run programs or start goroutines.
package telemetry

import (
	"cmp"
	"fmt"
	"slices"
)

// Reading is what the sensors said at one time. What could not be read is left out: an entry is
// missing from its list, a pointer is nil.
type Reading struct {
	Zones []Zone
	// GPU is the integrated one; those on PCI Express are not seen.
	GPU  *GPU
	CPUs []CPU
	// CoresOff are the numbers of the cores that are switched off, as some power modes do.
	CoresOff []int
	Rails    []Rail
	// TotalWatts is the power of the module, 0 where it is not known: that of the rail at its
	// input, or the sum of the rails where a module is known to have them side by side. What
	// the carrier board takes is not in it.
	TotalWatts float64
	// Counters are those of the power supply's alarms.
	Counters []Counter
	Cooling  []Cooling
	// PowerMode is what nvpmodel was set to.
	PowerMode *PowerMode
}

// Zone is a place whose temperature is measured. Where the kernel has several of one name, a
// number tells the others from the first.
type Zone struct {
	Name    string
	Celsius float64
}

// GPU is a GPU whose clock the kernel scales.
type GPU struct {
	Name string
	// LoadRatio is the share of time in which it computed, 0..1; nil where the driver does
	// not tell.
	LoadRatio *float64
	// The frequencies are 0 where they are unknown. Max is the limit that is set, for example
	// by nvpmodel, and Hardware the highest of those that the driver lists.
	FrequencyHertz, MaxFrequencyHertz, HardwareHertz float64
}

// CPU is those cores that share a clock.
type CPU struct {
	// Policy is the kernel's name of the group, such as "policy0", and Cores the numbers of
	// the cores separated by spaces.
	Policy, Cores string
	// Governor is the rule by which the frequency is chosen, such as "schedutil".
	Governor string
	// The frequencies are 0 where they are unknown. Max is the limit that is set, and Hardware
	// what the cores can do.
	FrequencyHertz, MaxFrequencyHertz, HardwareHertz float64
}

// Rail is a supply whose power is measured. It may be part of another one.
type Rail struct {
	Name string
	// Watts may be a little below 0 on a rail that carries nothing.
	Watts float64
}

// Counter counts since boot how often clocks were held back for one reason.
type Counter struct {
	// Name is the kernel's, such as "oc1".
	Name   string
	Cause  Cause
	Events uint64
}

// Cooling is something that can act on heat.
type Cooling struct {
	Name string
	// State is 0 while it does not act.
	State int
	// LimitsClocks tells whether it acts by slowing the computer down, which fans and mere
	// warnings do not.
	LimitsClocks bool
}

// PowerMode is one of nvpmodel's.
type PowerMode struct {
	ID int
	// Name is empty where /etc/nvpmodel.conf does not tell it.
	Name string
}

// String is the name, or the number where there is none.
func (m PowerMode) String() string {
	return cmp.Or(m.Name, fmt.Sprintf("mode %d", m.ID))
}

// Hottest returns the zone with the highest temperature, if there is one.
func (r Reading) Hottest() (Zone, bool) {
	if len(r.Zones) == 0 {
		return Zone{}, false
	}
	return slices.MaxFunc(r.Zones, func(a, b Zone) int { return cmp.Compare(a.Celsius, b.Celsius) }), true
}
