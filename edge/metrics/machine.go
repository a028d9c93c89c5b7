package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// machine collects what the sensors of the computer say when it is asked, so that nothing is
// read while nobody scrapes. What a computer does not have is not there, in place of a zero that
// would be wrong.
type machine struct {
	sensors *telemetry.Sensors

	zone, power, load, gpu, gpuMax, cpu, cpuMax, throttles, heat, mode *prometheus.Desc
}

func newMachine(sensors *telemetry.Sensors) *machine {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &machine{
		sensors: sensors,
		zone:    desc("thermal_zone_celsius", "Temperature of the thermal zone, in degrees Celsius.", "zone"),
		power:   desc("power_watts", "Power on the supply rail, in watts; a rail may be part of another one.", "rail"),
		load:    desc("gpu_load_ratio", "Share of time in which the integrated GPU computed, 0 to 1."),
		gpu:     desc("gpu_frequency_hertz", "Clock of the integrated GPU, in hertz."),
		gpuMax:  desc("gpu_max_frequency_hertz", "Limit that is set for the clock of the integrated GPU, in hertz."),
		cpu:     desc("cpu_frequency_hertz", "Clock of the cores that the cpufreq policy governs, in hertz.", "policy"),
		cpuMax:  desc("cpu_max_frequency_hertz", "Limit that is set for the clock of the cores that the cpufreq policy governs, in hertz.", "policy"),
		throttles: desc("throttle_events_total",
			"Times since boot that clocks were held back because of the power supply, by what was wrong with it.", "cause"),
		heat: desc("heat_throttled", "1 while something holds clocks back because of heat, 0 while nothing does."),
		mode: desc("power_mode", "Always 1; the label names the mode that nvpmodel was set to.", "mode"),
	}
}

// Describe implements [prometheus.Collector].
func (m *machine) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.zone, m.power, m.load, m.gpu, m.gpuMax, m.cpu, m.cpuMax, m.throttles, m.heat, m.mode} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *machine) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	r := m.sensors.Read()
	for _, z := range r.Zones {
		gauge(m.zone, z.Celsius, label(z.Name))
	}
	for _, rail := range r.Rails {
		gauge(m.power, rail.Watts, label(rail.Name))
	}
	if g := r.GPU; g != nil {
		if g.LoadRatio != nil {
			gauge(m.load, *g.LoadRatio)
		}
		if g.FrequencyHertz > 0 {
			gauge(m.gpu, g.FrequencyHertz)
		}
		if g.MaxFrequencyHertz > 0 {
			gauge(m.gpuMax, g.MaxFrequencyHertz)
		}
	}
	for _, c := range r.CPUs {
		if c.FrequencyHertz > 0 {
			gauge(m.cpu, c.FrequencyHertz, label(c.Policy))
		}
		if c.MaxFrequencyHertz > 0 {
			gauge(m.cpuMax, c.MaxFrequencyHertz, label(c.Policy))
		}
	}
	events := map[telemetry.Cause]float64{} // a second chip may count the same
	for _, c := range r.Counters {
		events[c.Cause] += float64(c.Events)
	}
	for cause, n := range events {
		to <- prometheus.MustNewConstMetric(m.throttles, prometheus.CounterValue, n, label(string(cause)))
	}
	limiting, limited := 0, 0.0
	for _, c := range r.Cooling {
		if c.LimitsClocks {
			limiting++
			if c.State > 0 {
				limited = 1
			}
		}
	}
	if limiting > 0 {
		gauge(m.heat, limited)
	}
	if r.PowerMode != nil {
		gauge(m.mode, 1, label(r.PowerMode.String()))
	}
}
