package telemetry_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
)

// TestLateSensors has drivers that load after the daemon has started: what is the first of its kind
// shows at once, further ones within a minute.
func TestLateSensors(t *testing.T) {
	files := telemetrytest.Machine(t, telemetrytest.OrinJetPack6)
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := telemetry.Open(root)
		if got := describe(s.Read()); got != "" {
			t.Fatalf("from nothing: %s", got)
		}
		const zone0 = "sys/class/thermal/thermal_zone0/"
		telemetrytest.Write(t, root, zone0+"type", files[zone0+"type"])
		telemetrytest.Write(t, root, zone0+"temp", files[zone0+"temp"])
		if got := describe(s.Read()); got != "zone cpu-thermal 61.343\nhottest cpu-thermal\n" {
			t.Errorf("one zone: got\n%s", got)
		}
		for path, content := range files {
			telemetrytest.Write(t, root, path, content)
		}
		if r := s.Read(); len(r.Zones) != 1 || r.GPU == nil || len(r.Rails) != 3 || len(r.Counters) != 3 || r.PowerMode.Name != "MAXN_SUPER" {
			t.Errorf("all files: got\n%s", describe(r))
		}
		time.Sleep(time.Minute)
		if r := s.Read(); len(r.Zones) != 4 {
			t.Errorf("a minute later: got\n%s", describe(r))
		}
	})
}

// TestVanished takes sensors away and gives their places to others.
func TestVanished(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	s := telemetry.Open(root)
	whole := describe(s.Read())

	for _, dir := range []string{"sys/class/hwmon/hwmon1", "sys/class/hwmon/hwmon3", "sys/class/thermal/thermal_zone1", "sys/class/devfreq/17000000.gpu", "sys/devices/system/cpu/cpufreq/policy4"} {
		telemetrytest.Remove(t, root, dir)
	}
	for range 2 {
		r := s.Read()
		if r.GPU != nil || len(r.Rails)+len(r.Counters) != 0 || r.TotalWatts != 0 || len(r.CPUs) != 1 || len(r.Zones) != 3 {
			t.Errorf("without some: got\n%s", describe(r))
		}
	}

	// They come back under other numbers, the rails where the counters were.
	files := telemetrytest.Machine(t, telemetrytest.OrinJetPack6)
	for path, content := range files {
		path = strings.Replace(path, "hwmon3/", "hwmon7/", 1)
		path = strings.Replace(path, "hwmon1/", "hwmon3/", 1)
		telemetrytest.Write(t, root, path, content)
	}
	s.Read() // the zone and the policy that are back are noticed once the others are looked for
	if got := describe(telemetry.Open(root).Read()); got != whole {
		t.Fatalf("again: got\n%s\nwant\n%s", got, whole)
	}
	if r := s.Read(); len(r.Rails) != 3 || len(r.Counters) != 3 || r.GPU == nil {
		t.Errorf("again: got\n%s", describe(r))
	}
}

// TestNumbersUsedAgain has other sensors where the first ones were, with the same files.
func TestNumbersUsedAgain(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	s := telemetry.Open(root)
	s.Read()
	telemetrytest.Write(t, root, "sys/class/thermal/thermal_zone0/type", "iwlwifi_1\n")
	telemetrytest.Write(t, root, "sys/class/thermal/cooling_device1/type", "pwm-fan\n")
	telemetrytest.Write(t, root, "sys/class/thermal/cooling_device1/cur_state", "3\n")
	telemetrytest.Write(t, root, "sys/class/hwmon/hwmon1/in1_label", "VDD_CARRIER\n")
	telemetrytest.Write(t, root, "sys/class/hwmon/hwmon3/name", "other\n")
	first := describe(s.Read())
	for _, wrong := range []string{"zone cpu-thermal", "cooling cpufreq-cpu0", "VDD_IN", "oc1", "total"} {
		if strings.Contains(first, wrong) {
			t.Errorf("%s is still told:\n%s", wrong, first)
		}
	}
	second := describe(s.Read())
	for _, right := range []string{"zone iwlwifi_1 61.343", "cooling pwm-fan-2 3 false", "rail VDD_CARRIER 15.600"} {
		if !strings.Contains(second, right) {
			t.Errorf("%s is not told:\n%s", right, second)
		}
	}
}

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	for _, file := range []string{"sys/class/thermal/thermal_zone1/temp", "sys/class/hwmon/hwmon3/oc1_event_cnt", "var/lib/nvpmodel/status"} {
		if err := os.Chmod(filepath.Join(root, file), 0); err != nil {
			t.Fatal(err)
		}
	}
	r := telemetry.Open(root).Read()
	if len(r.Zones) != 3 || len(r.Counters) != 2 || r.PowerMode != nil || r.GPU == nil {
		t.Errorf("got\n%s", describe(r))
	}
}

// TestMany has more sensors than any machine.
func TestMany(t *testing.T) {
	root := t.TempDir()
	for i := range 600 {
		dir := fmt.Sprintf("sys/class/thermal/thermal_zone%d/", i)
		telemetrytest.Write(t, root, dir+"type", "acpitz\n")
		telemetrytest.Write(t, root, dir+"temp", "40000\n")
	}
	r := telemetry.Open(root).Read()
	if len(r.Zones) != 512 || r.Zones[511].Name != "acpitz-512" {
		t.Errorf("%d zones", len(r.Zones))
	}
}

// TestConcurrent reads while files change, come and go.
func TestConcurrent(t *testing.T) {
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	files := telemetrytest.Machine(t, telemetrytest.OrinJetPack6)
	s := telemetry.Open(root)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r := s.Read()
				for _, z := range r.Zones {
					if z.Celsius < 1 || z.Celsius > 100 {
						t.Errorf("zone %+v", z)
					}
				}
				if r.TotalWatts != 0 && r.TotalWatts != 15.6 {
					t.Errorf("%v W in all", r.TotalWatts)
				}
			}
		})
	}
	for range 30 {
		for _, dir := range []string{"sys/class/hwmon/hwmon1", "sys/class/thermal", "sys/class/devfreq"} {
			telemetrytest.Remove(t, root, dir)
		}
		for path, content := range files {
			// At once, as the kernel's files are never half written.
			target := filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(target+".new", []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(target+".new", target); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	readers.Wait()
}

func BenchmarkRead(b *testing.B) {
	s := telemetry.Open(telemetrytest.Tree(b, telemetrytest.OrinJetPack6))
	b.ReportAllocs()
	for b.Loop() {
		s.Read()
	}
}
