package telemetry_test

import (
	"reflect"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
)

func counters(events ...uint64) []telemetry.Counter {
	causes := []telemetry.Cause{telemetry.UnderVoltage, telemetry.AverageOverCurrent, telemetry.InstantaneousOverCurrent, "oc4"}
	var all []telemetry.Counter
	for i, n := range events {
		all = append(all, telemetry.Counter{Name: []string{"oc1", "oc2", "oc3", "oc4"}[i], Cause: causes[i], Events: n})
	}
	return all
}

func cooling(name string, state int, limits bool) telemetry.Cooling {
	return telemetry.Cooling{Name: name, State: state, LimitsClocks: limits}
}

func TestThrottled(t *testing.T) {
	for name, c := range map[string]struct {
		before, after telemetry.Reading
		want          []string
	}{
		"nothing there":        {},
		"nothing moved":        {telemetry.Reading{Counters: counters(1, 15, 37)}, telemetry.Reading{Counters: counters(1, 15, 37)}, nil},
		"under-voltage":        {telemetry.Reading{Counters: counters(0, 0, 0)}, telemetry.Reading{Counters: counters(1, 0, 0)}, []string{"under-voltage (oc1, 1 event)"}},
		"over-current":         {telemetry.Reading{Counters: counters(1, 15, 37)}, telemetry.Reading{Counters: counters(1, 17, 113)}, []string{"average over-current (oc2, 2 events)", "instantaneous over-current (oc3, 76 events)"}},
		"unknown counter":      {telemetry.Reading{Counters: counters(0, 0, 0, 5)}, telemetry.Reading{Counters: counters(0, 0, 0, 6)}, []string{"oc4 (oc4, 1 event)"}},
		"began anew":           {telemetry.Reading{Counters: counters(9)}, telemetry.Reading{Counters: counters(2)}, []string{"under-voltage (oc1, 2 events)"}},
		"reset":                {telemetry.Reading{Counters: counters(9)}, telemetry.Reading{Counters: counters(0)}, []string{"under-voltage (oc1)"}},
		"not known before":     {telemetry.Reading{}, telemetry.Reading{Counters: counters(9, 9, 9)}, nil},
		"not known after":      {telemetry.Reading{Counters: counters(9, 9, 9)}, telemetry.Reading{}, nil},
		"fan and warning":      {telemetry.Reading{}, telemetry.Reading{Cooling: []telemetry.Cooling{cooling("pwm-fan", 3, false), cooling("hot-surface-alert", 1, false)}}, nil},
		"hot before":           {telemetry.Reading{Cooling: []telemetry.Cooling{cooling("cpufreq-cpu0", 2, true)}}, telemetry.Reading{Cooling: []telemetry.Cooling{cooling("cpufreq-cpu0", 0, true)}}, []string{"heat (cpufreq-cpu0)"}},
		"hot before and after": {telemetry.Reading{Cooling: []telemetry.Cooling{cooling("a", 2, true), cooling("b", 0, true)}}, telemetry.Reading{Cooling: []telemetry.Cooling{cooling("a", 1, true), cooling("b", 1, true)}}, []string{"heat (a, b)"}},
		"many": {telemetry.Reading{Cooling: []telemetry.Cooling{cooling("a", 1, true), cooling("b", 1, true), cooling("c", 1, true), cooling("d", 1, true), cooling("e", 1, true)}},
			telemetry.Reading{}, []string{"heat (a, b, c, 2 more)"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, throttle := range telemetry.Throttled(c.before, c.after) {
				got = append(got, throttle.String())
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestThrottledMachine(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	s := telemetry.Open(root)
	before := s.Read()
	if got := telemetry.Throttled(before, s.Read()); got != nil {
		t.Errorf("nothing has changed: %v", got)
	}
	telemetrytest.Write(t, root, "sys/class/hwmon/hwmon3/oc3_event_cnt", "30\n")
	telemetrytest.Write(t, root, "sys/class/thermal/cooling_device3/cur_state", "5\n")
	telemetrytest.Write(t, root, "sys/class/thermal/cooling_device0/cur_state", "3\n")
	want := []telemetry.Throttle{
		{Cause: telemetry.InstantaneousOverCurrent, Sources: []string{"oc3"}, Events: 3},
		{Cause: telemetry.Heat, Sources: []string{"devfreq-17000000.gpu"}},
	}
	if got := telemetry.Throttled(before, s.Read()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMerge(t *testing.T) {
	a := []telemetry.Throttle{{Cause: telemetry.UnderVoltage, Sources: []string{"oc1"}, Events: 2}, {Cause: telemetry.Heat, Sources: []string{"cpufreq-cpu0"}}}
	b := []telemetry.Throttle{{Cause: telemetry.Heat, Sources: []string{"cpufreq-cpu0", "cpufreq-cpu4"}}, {Cause: telemetry.UnderVoltage, Sources: []string{"oc1"}, Events: 1}, {Cause: "oc4", Sources: []string{"oc4"}, Events: 1}}
	want := []telemetry.Throttle{
		{Cause: telemetry.UnderVoltage, Sources: []string{"oc1"}, Events: 3}, {Cause: telemetry.Heat, Sources: []string{"cpufreq-cpu0", "cpufreq-cpu4"}}, {Cause: "oc4", Sources: []string{"oc4"}, Events: 1},
	}
	if got := telemetry.Merge(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(a[1].Sources) != 1 {
		t.Error("what was merged has changed")
	}
	if got := telemetry.Merge(nil, nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestCauses(t *testing.T) {
	all := telemetry.Throttled(
		telemetry.Reading{Counters: counters(1, 1, 1, 1)},
		telemetry.Reading{Counters: counters(2, 2, 2, 2), Cooling: []telemetry.Cooling{cooling("cpufreq-cpu0", 1, true)}})
	if got, want := telemetry.Causes(append(all, all...)), "under-voltage, average over-current, instantaneous over-current, oc4, heat"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := telemetry.Causes(nil); got != "" {
		t.Errorf("%q of nothing", got)
	}
}
