// Package metrics keeps the daemon's Prometheus metrics on a registry of its own.
//
// Every label value is bounded and every child exists from the start of its camera, so that
// a series never appears late; but those of the computer's sensors are there where these
// are. The methods called for each frame neither look up labels nor allocate. All methods
// are safe for concurrent use. The package starts no goroutine.
//
// Names follow https://prometheus.io/docs/practices/naming: base units (seconds, bytes),
// counters end in _total.
package metrics

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// Build says which program is running; it becomes the labels of robustnet_build_info.
type Build struct {
	// Version is the release, Revision the source commit it was built from.
	Version, Revision string
	// Backend is the inference library with its version, e.g. "ONNX Runtime 1.30.0 CPU".
	Backend string
}

const namespace = "robustnet"

// Metrics are the daemon's metrics. The zero value is not usable; see [New].
type Metrics struct {
	registry *prometheus.Registry // of the daemon as a whole
	process  *prometheus.Registry // Go runtime and process
	build    *prometheus.GaugeVec

	applied, refused atomic.Uint64
	lastSuccessful   prometheus.Gauge
	lastSuccess      prometheus.Gauge

	mu      sync.Mutex
	cameras map[string]*Camera // by name
}

// New makes the metrics of a daemon without cameras, whose configuration has been loaded at
// this moment. Those of the computer are read from sensors at every scrape; there are none
// where that is nil.
func New(b Build, sensors *telemetry.Sensors) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), process: prometheus.NewRegistry(), cameras: map[string]*Camera{}}
	m.process.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	f := factory{m.registry}
	m.build = f.gaugeVec("build_info",
		"Always 1; the labels name the release, its source revision and the inference library.",
		"version", "revision", "backend")
	m.SetBuild(b)
	const help = "Configurations that were read while the daemon ran, by what became of them."
	f.counter("config_reloads_total", help, prometheus.Labels{"result": "applied"}, &m.applied)
	f.counter("config_reloads_total", help, prometheus.Labels{"result": "refused"}, &m.refused)
	m.lastSuccessful = f.gauge("config_last_reload_successful",
		"1 if the configuration that was read last is in use, 0 if it was refused.")
	m.lastSuccess = f.gauge("config_last_reload_success_timestamp_seconds",
		"When the configuration in use was read, in seconds since the Unix epoch.")
	m.lastSuccessful.Set(1)
	m.lastSuccess.SetToCurrentTime()
	m.registry.MustRegister(newMachine(sensors))
	return m
}

// SetBuild says what is running now: the inference library changes with the model.
func (m *Metrics) SetBuild(b Build) {
	m.build.Reset()
	m.build.WithLabelValues(label(b.Version), label(b.Revision), label(b.Backend)).Set(1)
}

// Reloaded counts a configuration that was read while the daemon ran.
func (m *Metrics) Reloaded(applied bool) {
	if !applied {
		m.refused.Add(1)
		m.lastSuccessful.Set(0)
		return
	}
	m.applied.Add(1)
	m.lastSuccessful.Set(1)
	m.lastSuccess.SetToCurrentTime()
}

// Add serves a camera's series, in place of those of another camera of its name.
func (m *Metrics) Add(c *Camera) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cameras[c.name] = c
}

// Remove takes a camera's series out, unless another one of its name has taken their place.
func (m *Metrics) Remove(c *Camera) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cameras[c.name] == c {
		delete(m.cameras, c.name)
	}
}

// gatherers are the daemon's series and its cameras'.
func (m *Metrics) gatherers() prometheus.Gatherers {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := prometheus.Gatherers{m.registry}
	for _, name := range slices.Sorted(maps.Keys(m.cameras)) {
		all = append(all, m.cameras[name].registry)
	}
	return all
}

// Handler serves the metrics in the formats that Prometheus negotiates.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		promhttp.HandlerFor(append(m.gatherers(), m.process), promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

// label makes s fit for a label value: class names come from a model file, and Prometheus
// panics on bytes that are not UTF-8.
func label(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// factory makes series of this product on a registry.
type factory struct{ prometheus.Registerer }

func (f factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	f.MustRegister(g)
	return g
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.MustRegister(g)
	return g
}

func (f factory) counter(name, help string, labels prometheus.Labels, value *atomic.Uint64) {
	f.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(value.Load()) },
	))
}
