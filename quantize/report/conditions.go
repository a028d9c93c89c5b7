package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// Conditions are what the machine was like while latency was measured. What it does not tell is
// zero or empty.
type Conditions struct {
	// PowerMode is what nvpmodel was set to, such as "MAXN_SUPER".
	PowerMode string `json:"power_mode,omitempty"`
	// GPUMHz is the clock of the integrated GPU near the end of the measurement, and GPUMaxMHz
	// the limit that is set.
	GPUMHz    int `json:"gpu_mhz,omitempty"`
	GPUMaxMHz int `json:"gpu_max_mhz,omitempty"`
	// Policies are how the kernel chose frequencies near the end of the measurement; none where
	// it leaves them to the hardware.
	Policies []Policy `json:"frequency_policies,omitempty"`
	// HottestZone had the highest temperature of all, HottestCelsius.
	HottestZone    string  `json:"hottest_zone,omitempty"`
	HottestCelsius float64 `json:"hottest_celsius,omitempty"`
	// PowerWatts is the highest that was seen of the module's power.
	PowerWatts float64 `json:"power_watts,omitempty"`
	// Invalid tells that clocks were held back meanwhile, by what Throttled says, so that the
	// times are not those of the machine in this mode.
	Invalid   bool                 `json:"invalid"`
	Throttled []telemetry.Throttle `json:"throttled,omitempty"`
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
	text += clock(", ", p.CurrentMHz, p.MaxMHz)
	if p.HardwareMHz > p.MaxMHz {
		text += fmt.Sprintf(" (the hardware %d MHz)", p.HardwareMHz)
	}
	return text
}

// clock writes a frequency and its limit after a separator, as far as they are known.
func clock(separator string, mhz, limit int) (text string) {
	if mhz > 0 {
		text = fmt.Sprintf("%s%d MHz", separator, mhz)
		separator = ", "
	}
	if limit > 0 {
		text += fmt.Sprintf("%sat most %d MHz", separator, limit)
	}
	return text
}

// Lines are the conditions as text: a line for the board, if there is anything to say of it, and
// one for each policy.
func (c Conditions) Lines() []string {
	var board []string
	if c.PowerMode != "" {
		board = append(board, "power mode "+c.PowerMode)
	}
	if gpu := clock("", c.GPUMHz, c.GPUMaxMHz); gpu != "" {
		board = append(board, "GPU "+gpu)
	}
	if c.HottestZone != "" {
		board = append(board, fmt.Sprintf("up to %.0f °C (%s)", c.HottestCelsius, c.HottestZone))
	}
	if c.PowerWatts > 0 {
		board = append(board, fmt.Sprintf("up to %.1f W", c.PowerWatts))
	}
	var lines []string
	if len(board) > 0 {
		lines = append(lines, strings.Join(board, "; "))
	}
	for _, p := range c.Policies {
		lines = append(lines, p.String())
	}
	return lines
}

// Warning says that the times are invalid, and why; it is empty if they are not.
func (c Conditions) Warning() string {
	if !c.Invalid {
		return ""
	}
	var causes []string
	for _, t := range c.Throttled {
		causes = append(causes, t.String())
	}
	return "invalid: clocks were held back while this was measured, by " + cmp.Or(strings.Join(causes, "; "), "an unknown cause")
}

// warning says why the report's times are invalid; it is empty if they are not.
func (r *Report) warning() string {
	if r.Conditions == nil {
		return ""
	}
	return clip(r.Conditions.Warning(), 3*maxName)
}

// conditionFacts are the conditions for the page.
func conditionFacts(c *Conditions) []page.Fact {
	if c == nil {
		return nil
	}
	var facts []page.Fact
	add := func(name, value, hint string) {
		if value != "" {
			facts = append(facts, page.Fact{Name: clip(name, maxName), Value: clip(value, maxName), Hint: clip(hint, maxName)})
		}
	}
	add("power mode", c.PowerMode, "")
	add("GPU", clock("", c.GPUMHz, c.GPUMaxMHz), "")
	const most = 4 // where each core has its own clock, all are much alike
	for i, p := range c.Policies {
		if i == most {
			add("other cores", page.Count(len(c.Policies)-most), "policies, in report.json")
			break
		}
		add("cores "+p.Cores, cmp.Or(clock("", p.CurrentMHz, p.MaxMHz), page.None), "governor "+cmp.Or(p.Governor, "unknown"))
	}
	if c.HottestZone != "" {
		add("hottest", fmt.Sprintf("%.0f °C", c.HottestCelsius), c.HottestZone)
	}
	if c.PowerWatts > 0 {
		add("power", fmt.Sprintf("%.1f W", c.PowerWatts), "at most")
	}
	return facts
}
