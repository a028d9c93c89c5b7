package doctor_test

import (
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/doctor"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
)

func TestClocks(t *testing.T) {
	slow := telemetry.Reading{
		CPUs:      []telemetry.CPU{{Cores: "0 1 2 3", MaxFrequencyHertz: 1.2e9, HardwareHertz: 1.728e9}, {Cores: "4 5", MaxFrequencyHertz: 1.728e9, HardwareHertz: 1.728e9}},
		GPU:       &telemetry.GPU{MaxFrequencyHertz: 624.75e6},
		Counters:  []telemetry.Counter{{Name: "oc1", Cause: telemetry.UnderVoltage, Events: 3}, {Name: "oc2", Cause: telemetry.AverageOverCurrent}},
		Zones:     []telemetry.Zone{{Name: "cpu-thermal", Celsius: 61}, {Name: "gpu-thermal", Celsius: 96.4}},
		Cooling:   []telemetry.Cooling{{Name: "devfreq-17000000.gpu", State: 2, LimitsClocks: true}, {Name: "pwm-fan", State: 3}},
		PowerMode: &telemetry.PowerMode{ID: 1, Name: "15W"},
	}
	var got []string
	for _, f := range doctor.Clocks(slow) {
		got = append(got, string(f.State)+" "+f.What+": "+f.Text)
		if (f.State == doctor.Slow) != (f.Next != "") {
			t.Errorf("%+v: what is slow needs a next step, and nothing else does", f)
		}
	}
	want := []string{
		"ok power mode: 15W",
		"slow clocks: cores 0 1 2 3 are held to 1.20 of 1.73 GHz; GPU up to 625 MHz",
		"slow throttling: under-voltage (oc1, 3 events), heat (devfreq-17000000.gpu); gpu-thermal is at 96 °C",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	slow = telemetry.Reading{GPU: &telemetry.GPU{MaxFrequencyHertz: 612e6, HardwareHertz: 1020e6}, CoresOff: []int{4, 5}}
	held := doctor.Clocks(slow)
	if want := "cores 4 5 are off; the GPU is held to 612 of 1020 MHz"; len(held) != 1 || held[0].State != doctor.Slow || held[0].Text != want {
		t.Errorf("got %+v, want that %s", held, want)
	}
	if none := doctor.Clocks(telemetry.Reading{}); len(none) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
	// A board as the kernel shows it.
	for _, f := range doctor.Clocks(telemetry.Open(telemetrytest.Tree(t, "orin_jetpack6")).Read()) {
		if f.Text == "" || f.State == doctor.Missing {
			t.Errorf("of an Orin: %+v", f)
		}
	}
}
