package metrics

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
)

// machineOf returns a registry with the sensors of the machine whose files lie below root.
func machineOf(root string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(newMachine(telemetry.Open(root)))
	return r
}

func TestMachineGolden(t *testing.T) {
	for _, name := range []string{telemetrytest.OrinJetPack6, telemetrytest.OrinJetPack7, telemetrytest.PC} {
		t.Run(name, func(t *testing.T) {
			golden := "testdata/" + name + ".txt"
			r := machineOf(telemetrytest.Tree(t, name))
			got := get(t, promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("metrics differ from %s; run with -update and read the difference. got:\n%s", golden, got)
			}
			problems, err := testutil.GatherAndLint(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		})
	}
	if n, err := testutil.GatherAndCount(machineOf(telemetrytest.Tree(t, telemetrytest.Nothing))); n != 0 || err != nil {
		t.Errorf("%d series of nothing, %v", n, err)
	}
}

// TestMachineIsReadAtScrapeTime changes files between scrapes, and takes some away.
func TestMachineIsReadAtScrapeTime(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	m := New(Build{}, telemetry.Open(root))
	const series = `robustnet_throttle_events_total{cause="instantaneous_over_current"} `
	if body := get(t, m.Handler()); !strings.Contains(body, "\n"+series+"27\n") {
		t.Errorf("missing: %s27", series)
	}
	telemetrytest.Write(t, root, "sys/class/hwmon/hwmon3/oc3_event_cnt", "28\n")
	telemetrytest.Write(t, root, "sys/class/thermal/cooling_device3/cur_state", "1\n")
	telemetrytest.Remove(t, root, "sys/class/hwmon/hwmon1")
	body := get(t, m.Handler())
	if !strings.Contains(body, "\nrobustnet_heat_throttled 1\n") {
		t.Error("a cooling device acts, and the metrics do not say so")
	}
	if !strings.Contains(body, "\n"+series+"28\n") || strings.Contains(body, "robustnet_power_watts") {
		t.Errorf("got\n%s", body)
	}
}

// TestMachineHostile has names that collide, or that are no text, and two chips that count the
// same: a scrape fails as a whole where two series are one.
func TestMachineHostile(t *testing.T) {
	files := telemetrytest.Machine(t, telemetrytest.OrinJetPack6)
	for i, name := range []string{"twin", "twin", "twin-2", "bad\xff", "bad\xfe", "two\nlines"} {
		dir := fmt.Sprintf("sys/class/thermal/thermal_zone%d/", 20+i)
		files[dir+"type"], files[dir+"temp"] = name, "40000\n"
	}
	files["sys/class/hwmon/hwmon9/name"], files["sys/class/hwmon/hwmon9/oc3_event_cnt"] = "soctherm_oc\n", "3\n"
	for i := 1; i <= 3; i++ {
		files[fmt.Sprintf("sys/class/hwmon/hwmon1/in%d_label", i)] = "VDD_IN\n"
	}
	files["etc/nvpmodel.conf"] = "< POWER_MODEL ID=2 NAME=\xff\xfe >"
	body := get(t, promhttp.HandlerFor(machineOf(files.Tree(t)), promhttp.HandlerOpts{}))
	for _, series := range []string{
		`robustnet_thermal_zone_celsius{zone="twin"} 40`, `robustnet_thermal_zone_celsius{zone="twin-2"} 40`, `robustnet_thermal_zone_celsius{zone="twin-2-2"} 40`,
		`robustnet_thermal_zone_celsius{zone="bad?"} 40`, `robustnet_thermal_zone_celsius{zone="bad?-2"} 40`, `robustnet_thermal_zone_celsius{zone="two lines"} 40`,
		`robustnet_throttle_events_total{cause="instantaneous_over_current"} 30`, `robustnet_power_watts{rail="VDD_IN-3"} 2.6`, `robustnet_power_mode{mode="?"} 1`,
	} {
		if !strings.Contains(body, "\n"+series+"\n") {
			t.Errorf("missing: %s", series)
		}
	}
}

func TestMachineConcurrent(t *testing.T) {
	h := New(Build{}, telemetry.Open(telemetrytest.Tree(t, telemetrytest.OrinJetPack6))).Handler()
	var scrapes sync.WaitGroup
	for range 4 {
		scrapes.Go(func() {
			for range 10 {
				if body := get(t, h); !strings.Contains(body, "robustnet_power_watts") {
					t.Error("a scrape has no power")
				}
			}
		})
	}
	scrapes.Wait()
}
