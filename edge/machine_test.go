package edge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
)

func TestMachineFigures(t *testing.T) {
	type figures = overlay.Figures
	for name, c := range map[string]struct {
		machine string
		picture figures
		status  string
	}{
		"JetPack 6": {telemetrytest.OrinJetPack6, figures{FPS: 30, Zone: "gpu-thermal", Celsius: 62.687, Watts: 15.6, GPUMegahertz: 918},
			`{"hottest_zone":"gpu-thermal","hottest_celsius":62.687,"power_watts":15.6,"power_mode":"MAXN_SUPER","gpu_load_ratio":0.873,"gpu_frequency_hertz":918000000,"throttled":""}`},
		"PC": {telemetrytest.PC, figures{FPS: 30, Zone: "x86_pkg_temp", Celsius: 56},
			`{"hottest_zone":"x86_pkg_temp","hottest_celsius":56,"power_watts":null,"power_mode":"","gpu_load_ratio":null,"gpu_frequency_hertz":null,"throttled":""}`},
		"nothing": {telemetrytest.Nothing, figures{FPS: 30}, "null"},
	} {
		t.Run(name, func(t *testing.T) {
			r := telemetry.Open(telemetrytest.Tree(t, c.machine)).Read()
			var m machine
			m.last.Store(&look{Reading: r})
			picture := figures{FPS: 30}
			if m.onPicture(&picture); picture != c.picture {
				t.Errorf("on the picture %+v, want %+v", picture, c.picture)
			}
			status, err := json.Marshal(m.status())
			if err != nil || string(status) != c.status {
				t.Errorf("status %s, %v; want %s", status, err, c.status)
			}
		})
	}
	var m machine
	picture := figures{FPS: 30}
	if m.onPicture(&picture); picture != (figures{FPS: 30}) || m.status() != nil {
		t.Errorf("before the first look: %+v, %+v", picture, m.status())
	}
}

// TestMachineIsWatched looks again every two seconds.
func TestMachineIsWatched(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	synctest.Test(t, func(t *testing.T) {
		var m machine
		go func() { _ = m.watch(t.Context(), telemetry.Open(root)) }()
		synctest.Wait()
		if s := m.status(); s == nil || *s.HottestCelsius != 62.687 {
			t.Fatalf("at once: %+v", s)
		}
		telemetrytest.Write(t, root, "sys/class/thermal/thermal_zone8/temp", "70000\n")
		time.Sleep(machineEvery + time.Millisecond)
		if s := m.status(); s.HottestZone != "tj-thermal" || *s.HottestCelsius != 70 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

// TestMachineThrottling tells what held clocks back on the picture and the page, until it is ten
// seconds ago.
func TestMachineThrottling(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	synctest.Test(t, func(t *testing.T) {
		var m machine
		go func() { _ = m.watch(t.Context(), telemetry.Open(root)) }()
		synctest.Wait()
		for i, c := range []struct {
			file, content string
			after         time.Duration
			want          string
		}{
			{"sys/class/hwmon/hwmon3/oc3_event_cnt", "27\n", machineEvery, ""}, // as it was since boot
			{"sys/class/hwmon/hwmon3/oc1_event_cnt", "1\n", machineEvery, "under-voltage"},
			{"sys/class/hwmon/hwmon3/oc3_event_cnt", "29\n", machineEvery, "instantaneous over-current"},
			{"sys/class/hwmon/hwmon3/oc3_event_cnt", "29\n", throttledFor - machineEvery, "instantaneous over-current"},
			{"sys/class/hwmon/hwmon3/oc3_event_cnt", "29\n", machineEvery, ""},
			{"sys/class/thermal/cooling_device3/cur_state", "2\n", machineEvery, "heat"},
			{"sys/class/thermal/cooling_device3/cur_state", "2\n", time.Minute, "heat"},
			{"sys/class/thermal/cooling_device3/cur_state", "0\n", throttledFor, "heat"}, // at the first look it still was
			{"sys/class/thermal/cooling_device3/cur_state", "0\n", machineEvery, ""},
		} {
			telemetrytest.Write(t, root, c.file, c.content)
			time.Sleep(c.after)
			synctest.Wait()
			var f overlay.Figures
			m.onPicture(&f)
			if s := m.status(); f.Throttled != c.want || s.Throttled != c.want {
				t.Errorf("step %d: %q on the picture and %q on the page, want %q", i, f.Throttled, s.Throttled, c.want)
			}
		}
	})
}

// TestMachineOfTheDaemon has them on the page and in the metrics.
func TestMachineOfTheDaemon(t *testing.T) {
	s := newSetup()
	s.source.tick = make(chan struct{})
	s.sensors = telemetry.Open(telemetrytest.Tree(t, telemetrytest.OrinJetPack6))
	d := s.daemon(t)
	stop := running(t, d)
	page := s.page(t)
	if log := s.log.String(); !strings.Contains(log, `"power_mode":"MAXN_SUPER"`) {
		t.Errorf("the log has no power mode: %s", log)
	}
	eventually(t, "the sensors are read", func() bool { return d.machine.status() != nil })
	code, body := get(t, page+"/api/v1/status")
	var status web.Status
	if err := json.Unmarshal(body, &status); err != nil || code != http.StatusOK {
		t.Fatalf("%d, %v", code, err)
	}
	if m := status.Machine; m == nil || m.PowerMode != "MAXN_SUPER" || *m.PowerWatts != 15.6 {
		t.Errorf("status %s", body)
	}
	if _, body = get(t, page+"/metrics"); !bytes.Contains(body, []byte("\nrobustnet_power_watts{rail=\"VDD_IN\"} 15.6\n")) {
		t.Error("the metrics lack the power")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
