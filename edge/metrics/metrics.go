// Package metrics keeps the daemon's Prometheus metrics on a registry of its own.
//
// Every label value is bounded and every child exists from the start, so that a series
// never appears late; but those of the computer's sensors are there where these are. The
// methods called for each frame neither look up labels nor allocate. All methods are safe
// for concurrent use. The package starts no goroutine.
//
// Names follow https://prometheus.io/docs/practices/naming: base units (seconds, bytes),
// counters end in _total.
package metrics

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// Build says which program is running; it becomes the labels of robustnet_build_info.
type Build struct {
	// Version is the release, Revision the source commit it was built from.
	Version, Revision string
	// Backend is the inference library with its version, e.g. "ONNX Runtime 1.30.0 CPU".
	Backend string
}

// Buckets in seconds. A stage takes between half a millisecond (a colour conversion) and
// two seconds (a large model on a small CPU); the steps are densest around the frame
// times of 30 and 60 frames per second. A frame is as old as its stages and queues
// together, so its buckets reach further.
var (
	stageBuckets = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.0167, 0.025, 0.0333, 0.05, 0.1, 0.2, 0.5, 1, 2}
	ageBuckets   = []float64{0.005, 0.01, 0.0167, 0.025, 0.0333, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5}
)

// Metrics are the daemon's metrics. The zero value is not usable; see [New].
type Metrics struct {
	registry *prometheus.Registry // what the product defines
	process  *prometheus.Registry // Go runtime and process

	cameraUp   prometheus.Gauge
	lastFrame  prometheus.Gauge
	frameAge   prometheus.Histogram
	stages     [stageCount]prometheus.Observer
	classRatio []prometheus.Gauge

	// These are read back for the status page, so the numbers live here and the registry
	// reads them.
	frames  atomic.Uint64
	reopens map[camera.Reason]*atomic.Uint64 // of every reason; the map is never changed
	drops   [dropCount]atomic.Uint64
}

// StreamStats asks the RTSP server how many clients are playing and how many bytes of
// encoded video it has sent so far. It is called at every scrape, concurrently.
type StreamStats func() (clients int, sentBytes uint64)

// New makes the metrics of one daemon whose model knows the given classes, in the order
// of their ids. Every series exists and is zero afterwards; those of the stream are read
// from stream, and stay zero where that is nil. Those of the computer are read from sensors at
// every scrape; there are none where that is nil.
func New(b Build, classes []string, stream StreamStats, sensors *telemetry.Sensors) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), process: prometheus.NewRegistry()}
	m.process.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := m.gaugeVec("build_info",
		"Always 1; the labels name the release, its source revision and the inference library.",
		"version", "revision", "backend")
	info.WithLabelValues(label(b.Version), label(b.Revision), label(b.Backend)).Set(1)

	m.registerCamera()
	m.registerPipeline()
	if stream == nil {
		stream = func() (int, uint64) { return 0, 0 }
	}
	m.registerStream(stream)
	m.registry.MustRegister(newMachine(sensors))

	ratio := m.gaugeVec("class_pixel_ratio",
		"Share of the newest mask's pixels that belong to the class, 0 to 1.", "class")
	for _, class := range classes {
		m.classRatio = append(m.classRatio, ratio.WithLabelValues(label(class)))
	}
	return m
}

func (m *Metrics) registerCamera() {
	m.cameraUp = m.gauge("camera_up", "1 while the camera is open and delivers frames, otherwise 0.")
	m.counter("camera_frames_total", "Frames that the camera delivered since the daemon started.", nil, &m.frames)
	m.lastFrame = m.gauge("camera_last_frame_timestamp_seconds",
		"When the newest frame was captured, in seconds since the Unix epoch; 0 before the first frame.")
	m.reopens = make(map[camera.Reason]*atomic.Uint64)
	for _, r := range camera.Reasons() {
		m.reopens[r] = new(atomic.Uint64)
		m.counter("camera_reopens_total",
			"Times the camera was closed and opened again, by what was wrong with it.",
			prometheus.Labels{"reason": string(r)}, m.reopens[r])
	}
}

func (m *Metrics) registerPipeline() {
	for d := range dropCount {
		m.counter("frames_dropped_total",
			"Frames given up because the named stage was still busy when a newer one arrived.",
			prometheus.Labels{"stage": d.String()}, &m.drops[d])
	}
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "stage_duration_seconds", Buckets: stageBuckets,
		Help: "Time that one frame spent in the named stage, in seconds, without waiting for it.",
	}, []string{"stage"})
	m.registry.MustRegister(stages)
	for s := range stageCount {
		m.stages[s] = stages.WithLabelValues(s.String())
	}
	m.frameAge = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "frame_age_seconds", Buckets: ageBuckets,
		Help: "Age of a frame when it was ready to show (encoded while there are viewers, otherwise overlaid), in seconds since capture.",
	})
	m.registry.MustRegister(m.frameAge)
}

func (m *Metrics) registerStream(stream StreamStats) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "rtsp_clients", Help: "RTSP clients that are playing the stream.",
		}, func() float64 { clients, _ := stream(); return float64(clients) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "stream_sent_bytes_total", Help: "Bytes of encoded video sent to RTSP clients.",
		}, func() float64 { _, sent := stream(); return float64(sent) }),
	)
}

const namespace = "robustnet"

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) counter(name, help string, labels prometheus.Labels, value *atomic.Uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(value.Load()) },
	))
}

// label makes s fit for a label value: class names come from a model file, and Prometheus
// panics on bytes that are not UTF-8.
func label(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Handler serves the metrics in the formats that Prometheus negotiates.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.process}, promhttp.HandlerOpts{})
}

// CameraUp says whether the camera is open and delivering.
func (m *Metrics) CameraUp(up bool) {
	if up {
		m.cameraUp.Set(1)
	} else {
		m.cameraUp.Set(0)
	}
}

// Frame counts one frame that the camera delivered, captured at the given time.
func (m *Metrics) Frame(captured time.Time) {
	m.frames.Add(1)
	m.lastFrame.Set(float64(captured.UnixNano()) / 1e9)
}

// Frames returns how often [Metrics.Frame] was called.
func (m *Metrics) Frames() uint64 { return m.frames.Load() }

// Reopened counts one reopening of the camera, for one of [camera.Reasons].
func (m *Metrics) Reopened(why camera.Reason) { m.reopens[why].Add(1) }

// Reopens returns the number of reopenings, whatever the reason.
func (m *Metrics) Reopens() uint64 {
	var n uint64
	for _, count := range m.reopens {
		n += count.Load()
	}
	return n
}

// Dropped counts n frames given up in front of a stage.
func (m *Metrics) Dropped(at Drop, n uint64) { m.drops[at].Add(n) }

// DroppedCount returns how many frames were given up in front of a stage.
func (m *Metrics) DroppedCount(at Drop) uint64 { return m.drops[at].Load() }

// ObserveStage records the time that one frame spent in a stage, without waiting for it.
func (m *Metrics) ObserveStage(s Stage, d time.Duration) { m.stages[s].Observe(d.Seconds()) }

// ObserveFrameAge records how old a frame was when it was ready to show: encoded while
// there are viewers, otherwise overlaid. It is a histogram and not a gauge because a
// scrape sees one frame in hundreds: alert on
// histogram_quantile(0.95, rate(robustnet_frame_age_seconds_bucket[5m])) for a slow
// pipeline, and on time() - robustnet_camera_last_frame_timestamp_seconds for a picture
// that stands still.
func (m *Metrics) ObserveFrameAge(age time.Duration) { m.frameAge.Observe(age.Seconds()) }

// ClassRatios sets each class's share of the newest mask, 0..1, in the order of the
// class ids given to [New]. Surplus values are ignored.
func (m *Metrics) ClassRatios(ratios []float64) {
	for i, r := range ratios[:min(len(ratios), len(m.classRatio))] {
		m.classRatio[i].Set(r)
	}
}
