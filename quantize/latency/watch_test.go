package latency_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt"
)

const (
	undervoltage = "sys/class/hwmon/hwmon3/oc1_event_cnt"
	overcurrent  = "sys/class/hwmon/hwmon3/oc3_event_cnt"
	gpuCooling   = "sys/class/thermal/cooling_device3/cur_state"
	junction     = "sys/class/thermal/thermal_zone8/temp"
)

// TestConditions changes a board between the turns of a measurement, each of which takes 600 ms.
func TestConditions(t *testing.T) {
	quiet := report.Conditions{
		PowerMode: "MAXN_SUPER", GPUMHz: 918, GPUMaxMHz: 1020, HottestZone: "gpu-thermal", HottestCelsius: 62.687, PowerWatts: 15.6,
		Policies: []report.Policy{
			{Cores: "0 1 2 3", Governor: "schedutil", CurrentMHz: 1190, MaxMHz: 1728, HardwareMHz: 1728},
			{Cores: "4 5", Governor: "schedutil", CurrentMHz: 1728, MaxMHz: 1728, HardwareMHz: 1728},
		},
	}
	with := func(change func(*report.Conditions)) report.Conditions {
		c := quiet
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		// before holds what a file has from the n-th run on, of two to warm up and eight that count.
		before map[int]map[string]string
		want   report.Conditions
	}{
		"nothing happens": {nil, quiet},
		"before it counts": {map[int]map[string]string{
			1: {undervoltage: "7\n", gpuCooling: "3\n"}, 2: {gpuCooling: "0\n"},
		}, quiet},
		"counters": {map[int]map[string]string{
			4: {undervoltage: "1\n", overcurrent: "28\n"}, 8: {overcurrent: "31\n"},
		}, with(func(c *report.Conditions) {
			c.Invalid = true
			c.Throttled = []telemetry.Throttle{
				{Cause: telemetry.UnderVoltage, Sources: []string{"oc1"}, Events: 1},
				{Cause: telemetry.InstantaneousOverCurrent, Sources: []string{"oc3"}, Events: 4},
			}
		})},
		"in the last run": {map[int]map[string]string{10: {overcurrent: "28\n"}}, with(func(c *report.Conditions) {
			c.Invalid, c.Throttled = true, []telemetry.Throttle{{Cause: telemetry.InstantaneousOverCurrent, Sources: []string{"oc3"}, Events: 1}}
		})},
		"a counter that is silent for a while": {map[int]map[string]string{
			4: {overcurrent: "?\n"}, 8: {overcurrent: "28\n"},
		}, with(func(c *report.Conditions) {
			c.Invalid, c.Throttled = true, []telemetry.Throttle{{Cause: telemetry.InstantaneousOverCurrent, Sources: []string{"oc3"}, Events: 1}}
		})},
		"hot in the midst": {map[int]map[string]string{
			5: {gpuCooling: "2\n", junction: "99000\n"}, 8: {gpuCooling: "0\n", junction: "70000\n"},
		}, with(func(c *report.Conditions) {
			c.HottestZone, c.HottestCelsius = "tj-thermal", 99
			c.Invalid, c.Throttled = true, []telemetry.Throttle{{Cause: telemetry.Heat, Sources: []string{"devfreq-17000000.gpu"}}}
		})},
		"the fan": {map[int]map[string]string{5: {"sys/class/thermal/cooling_device0/cur_state": "3\n"}}, quiet},
	} {
		t.Run(name, func(t *testing.T) {
			root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
			synctest.Test(t, func(t *testing.T) {
				e := &fake{name: "e", infer: ms(600), each: func(run int) error {
					for path, content := range c.before[run] {
						telemetrytest.Write(t, root, path, content)
					}
					return nil
				}}
				_, got, err := latency.Measure(t.Context(), []trt.Engine{e}, nil, latency.Options{Warmup: 2, Runs: 8, Sensors: telemetry.Open(root)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("got %+v\nwant %+v", got, c.want)
				}
			})
		})
	}
}

// TestConditionsOfNothing has no sensors, or none of their files.
func TestConditionsOfNothing(t *testing.T) {
	for _, s := range []*telemetry.Sensors{nil, telemetry.Open(t.TempDir())} {
		w := latency.NewWatch(s)
		w.Look()
		if got := w.Conditions(); got.Invalid || len(got.Lines()) != 0 || got.Warning() != "" {
			t.Errorf("got %+v", got)
		}
	}
}

// TestWatchIsSparing looks at the sensors once in a second at most.
func TestWatchIsSparing(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	synctest.Test(t, func(t *testing.T) {
		w := latency.NewWatch(telemetry.Open(root))
		telemetrytest.Write(t, root, gpuCooling, "2\n")
		time.Sleep(999 * time.Millisecond)
		w.Look()
		telemetrytest.Write(t, root, gpuCooling, "0\n")
		if c := w.Conditions(); c.Invalid {
			t.Errorf("looked after 999 ms: %+v", c)
		}
	})
}
