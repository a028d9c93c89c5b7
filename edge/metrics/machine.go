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

	zone, power, load, gpu, cpu, throttles, mode *prometheus.Desc
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
		cpu:     desc("cpu_frequency_hertz", "Clock of the cores that the cpufreq policy governs, in hertz.", "policy"),
		throttles: desc("throttle_events_total",
			"Times since boot that clocks were held back because of the power supply, by what was wrong with it.", "cause"),
		mode: desc("power_mode", "Always 1; the label names the mode that nvpmodel was set to.", "mode"),
	}
}

// Describe implements [prometheus.Collector].
func (m *machine) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.zone, m.power, m.load, m.gpu, m.cpu, m.throttles, m.mode} {
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
	}
	for _, c := range r.CPUs {
		if c.FrequencyHertz > 0 {
			gauge(m.cpu, c.FrequencyHertz, label(c.Policy))
		}
	}
	events := map[telemetry.Cause]float64{} // a second chip may count the same
	for _, c := range r.Counters {
		events[c.Cause] += float64(c.Events)
	}
	for cause, n := range events {
		to <- prometheus.MustNewConstMetric(m.throttles, prometheus.CounterValue, n, label(string(cause)))
	}
	if r.PowerMode != nil {
		gauge(m.mode, 1, label(r.PowerMode.String()))
	}
}
