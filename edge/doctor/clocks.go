package doctor

import (
	"fmt"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// Clocks says what slows a computer down: a power mode or a limit below what the hardware can do,
// heat, or a supply that gave way since boot. It is empty where nothing is known of clocks.
func Clocks(r telemetry.Reading) []Finding {
	var findings []Finding
	if r.PowerMode != nil {
		findings = append(findings, Finding{What: "power mode", State: OK, Text: r.PowerMode.String()})
	}
	if f, known := limits(r); known {
		findings = append(findings, f)
	}
	if f, known := throttling(r); known {
		findings = append(findings, f)
	}
	return findings
}

// limits compares the limits that are set with what cores and GPU can do.
func limits(r telemetry.Reading) (f Finding, known bool) {
	f = Finding{What: "clocks", State: OK}
	var parts []string
	for _, c := range r.CPUs {
		if c.MaxFrequencyHertz == 0 || c.HardwareHertz == 0 {
			continue
		}
		known = true
		if c.MaxFrequencyHertz < 0.99*c.HardwareHertz {
			f.State = Slow
			parts = append(parts, fmt.Sprintf("cores %s are held to %.2f of %.2f GHz", c.Cores, c.MaxFrequencyHertz/1e9, c.HardwareHertz/1e9))
		}
	}
	if len(r.CoresOff) > 0 {
		f.State, known = Slow, true
		parts = append(parts, "cores "+strings.Trim(fmt.Sprint(r.CoresOff), "[]")+" are off")
	}
	if g := r.GPU; g != nil && g.MaxFrequencyHertz > 0 {
		known = true
		if g.MaxFrequencyHertz < 0.99*g.HardwareHertz {
			f.State = Slow
			parts = append(parts, fmt.Sprintf("the GPU is held to %.0f of %.0f MHz", g.MaxFrequencyHertz/1e6, g.HardwareHertz/1e6))
		} else {
			parts = append(parts, fmt.Sprintf("GPU up to %.0f MHz", g.MaxFrequencyHertz/1e6))
		}
	}
	f.Text = strings.Join(parts, "; ")
	if f.Text == "" {
		f.Text = "not limited"
	}
	if f.State == Slow {
		f.Next = "choose a higher power mode (nvpmodel -q names it, nvpmodel -m N sets it), if the board is cooled for it"
	}
	return f, known
}

// throttling says what has held clocks back since boot, or does so now.
func throttling(r telemetry.Reading) (f Finding, known bool) {
	f = Finding{What: "throttling", State: OK, Text: "none since boot"}
	var parts []string
	// Before boot, nothing was counted.
	before := telemetry.Reading{}
	for _, c := range r.Counters {
		before.Counters = append(before.Counters, telemetry.Counter{Name: c.Name, Cause: c.Cause})
	}
	for _, t := range telemetry.Throttled(before, r) {
		parts = append(parts, t.String())
	}
	if len(parts) > 0 {
		f.State, f.Text = Slow, strings.Join(parts, ", ")
		f.Next = "use a supply that gives what the board takes, and cool it better; until then figures of speed mean little"
	}
	if zone, ok := r.Hottest(); ok {
		f.Text += fmt.Sprintf("; %s is at %.0f °C", zone.Name, zone.Celsius)
	}
	return f, len(r.Counters)+len(r.Zones)+len(r.Cooling) > 0
}
