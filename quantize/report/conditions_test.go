package report

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/page/pagetest"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// board is a Jetson whose clocks were as they were set.
func board() *Conditions {
	return &Conditions{
		PowerMode: "MAXN_SUPER", GPUMHz: 918, GPUMaxMHz: 1020, HottestZone: "gpu-thermal", HottestCelsius: 62.7, PowerWatts: 15.63,
		Policies: []Policy{{Cores: "0 1 2 3", Governor: "schedutil", CurrentMHz: 1190, MaxMHz: 1510, HardwareMHz: 1728}, {Cores: "4 5", Governor: "schedutil", CurrentMHz: 1728, MaxMHz: 1728, HardwareMHz: 1728}},
	}
}

// throttled is one whose clocks were not.
func throttled() *Conditions {
	c := board()
	c.Invalid = true
	c.Throttled = []telemetry.Throttle{{Cause: telemetry.InstantaneousOverCurrent, Sources: []string{"oc3"}, Events: 76}, {Cause: telemetry.Heat, Sources: []string{"devfreq-17000000.gpu"}}}
	return c
}

func TestPolicyText(t *testing.T) {
	for want, p := range map[string]Policy{
		"cores 0 1 2 3: governor schedutil, 1190 MHz, at most 1510 MHz (the hardware 1984 MHz)": {"0 1 2 3", "schedutil", 1190, 1510, 1984},
		"cores 4 5: governor performance, 1984 MHz, at most 1984 MHz":                           {"4 5", "performance", 1984, 1984, 1984},
		"cores 7: governor powersave":                {"7", "powersave", 0, 0, 0},
		"cores 0: governor unknown, at most 800 MHz": {"0", "", 0, 800, 0},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestConditionsText(t *testing.T) {
	for name, c := range map[string]struct {
		conditions *Conditions
		lines      []string
		warning    string
	}{
		"nothing": {&Conditions{}, nil, ""},
		"board": {board(), []string{
			"power mode MAXN_SUPER; GPU 918 MHz, at most 1020 MHz; up to 63 °C (gpu-thermal); up to 15.6 W",
			"cores 0 1 2 3: governor schedutil, 1190 MHz, at most 1510 MHz (the hardware 1728 MHz)", "cores 4 5: governor schedutil, 1728 MHz, at most 1728 MHz",
		}, ""},
		"freezing PC":  {&Conditions{HottestZone: "acpitz", HottestCelsius: -3}, []string{"up to -3 °C (acpitz)"}, ""},
		"limit alone":  {&Conditions{GPUMaxMHz: 1020}, []string{"GPU at most 1020 MHz"}, ""},
		"not told why": {&Conditions{Invalid: true}, nil, "invalid: clocks were held back while this was measured, by an unknown cause"},
		"heat": {&Conditions{Invalid: true, Throttled: throttled().Throttled}, nil,
			"invalid: clocks were held back while this was measured, by instantaneous over-current (oc3, 76 events); heat (devfreq-17000000.gpu)"},
	} {
		if got := c.conditions.Lines(); !slices.Equal(got, c.lines) {
			t.Errorf("%s: got %q, want %q", name, got, c.lines)
		}
		if got := c.conditions.Warning(); got != c.warning {
			t.Errorf("%s: warning %q, want %q", name, got, c.warning)
		}
	}
}

func TestConditionsOnThePage(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	r.Conditions = board()
	d := write(t, dir, r)
	pagetest.Check(t, d)
	const facts = "power mode MAXN_SUPER GPU 918 MHz, at most 1020 MHz cores 0 1 2 3 1190 MHz, at most 1510 MHz governor schedutil " +
		"cores 4 5 1728 MHz, at most 1728 MHz governor schedutil hottest 63 °C gpu-thermal power 15.6 W at most"
	if got := pagetest.Text(d.Classed("facts")[1]); got != facts {
		t.Errorf("measured under %q", got)
	}
	if len(d.Classed("notes")) != 0 || len(d.Classed("warning")) != 0 || strings.Contains(d.Source, "invalid") {
		t.Error("times that are valid are called invalid")
	}
	if tile := pagetest.Text(d.Classed("tile")[0]); !strings.Contains(tile, "time") {
		t.Errorf("the headline lacks the time: %s", tile)
	}

	r.Conditions = throttled()
	d = write(t, dir, r)
	pagetest.Check(t, d)
	const banner = "Latency is invalid: clocks were held back while this was measured, by instantaneous over-current (oc3, 76 events); heat (devfreq-17000000.gpu)"
	if got := only(t, d, "notes"); got != banner {
		t.Errorf("the banner says %q, want %q", got, banner)
	}
	only(t, d, "warning")
	if tile := pagetest.Text(d.Classed("tile")[0]); strings.Contains(tile, "time") {
		t.Errorf("the headline has a time that is invalid: %s", tile)
	}
	if got := pagetest.Texts(d.All("h2")); !slices.Equal(got, headings) {
		t.Errorf("the headings are %q, want %q", got, headings)
	}

	// Without times there is nothing to be valid.
	for i := range r.Variants {
		r.Variants[i].Latency = nil
	}
	if d = write(t, dir, r); strings.Contains(d.Source, "invalid") || strings.Contains(d.Source, "MAXN_SUPER") {
		t.Error("conditions of no times are shown")
	}
}

// TestStrangeConditions has names from elsewhere, and more of everything than a page can show.
func TestStrangeConditions(t *testing.T) {
	bad := `<script>alert(1)</script>"` + strings.Repeat("w", 5000)
	c := &Conditions{PowerMode: bad, GPUMHz: -1, HottestZone: bad, Invalid: true, Policies: slices.Repeat([]Policy{{Cores: bad, Governor: bad}}, 300)}
	for range 300 {
		c.Throttled = append(c.Throttled, telemetry.Throttle{Cause: telemetry.Cause(bad), Sources: slices.Repeat([]string{bad}, 300)})
	}
	dir := t.TempDir()
	r := complete(t, dir)
	r.Conditions = c
	d := write(t, dir, r)
	pagetest.Check(t, d)
	if strings.Contains(d.Source, "<script>") || strings.Contains(d.Source, strings.Repeat("w", 4*maxName)) || !strings.Contains(d.Source, "296 ") {
		t.Error("the page shows a name in its whole length, as it is, or all policies")
	}
}

func TestConditionsInJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	for _, want := range []*Conditions{nil, {}, board(), throttled()} {
		if err := WriteJSON(path, &Report{Conditions: want}); err != nil {
			t.Fatal(err)
		}
		r, err := ReadJSON(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Conditions, want) {
			t.Errorf("got %+v, want %+v", r.Conditions, want)
		}
	}
}
