package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/robustnet-edge/robustnet/camera"
)

// Buckets in seconds. A stage takes between half a millisecond (a colour conversion) and
// two seconds (a large model on a small CPU); the steps are densest around the frame
// times of 30 and 60 frames per second. A frame is as old as its stages and queues
// together, so its buckets reach further.
var (
	stageBuckets = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.0167, 0.025, 0.0333, 0.05, 0.1, 0.2, 0.5, 1, 2}
	ageBuckets   = []float64{0.005, 0.01, 0.0167, 0.025, 0.0333, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5}
)

// Camera are the metrics of one camera and of what becomes of its frames; the label "camera"
// names it.
type Camera struct {
	name     string
	registry *prometheus.Registry

	cameraUp   prometheus.Gauge
	lastFrame  prometheus.Gauge
	frameAge   prometheus.Histogram
	stages     [stageCount]prometheus.Observer
	ratios     *prometheus.GaugeVec
	classRatio atomic.Pointer[[]prometheus.Gauge]

	// These are read back for the status page, so the numbers live here and the registry
	// reads them.
	frames  atomic.Uint64
	reopens map[camera.Reason]*atomic.Uint64 // of every reason; the map is never changed
	drops   [dropCount]atomic.Uint64
}

// StreamStats asks a camera's RTSP stream how many clients are playing and how many bytes of
// encoded video it has sent so far. It is called at every scrape, concurrently.
type StreamStats func() (clients int, sentBytes uint64)

// NewCamera makes the metrics of a camera; [Metrics.Add] serves them. Every series exists and
// is zero. The classes of its model are in the order of their ids; what its stream has sent is
// read from stream, and stays zero where that is nil.
func NewCamera(name string, classes []string, stream StreamStats) *Camera {
	c := &Camera{name: name, registry: prometheus.NewRegistry()}
	f := factory{prometheus.WrapRegistererWith(prometheus.Labels{"camera": label(name)}, c.registry)}
	c.registerCamera(f)
	c.registerPipeline(f)
	if stream == nil {
		stream = func() (int, uint64) { return 0, 0 }
	}
	registerStream(f, stream)
	c.ratios = f.gaugeVec("class_pixel_ratio",
		"Share of the newest mask's pixels that belong to the class, 0 to 1.", "class")
	c.SetClasses(classes)
	return c
}

func (c *Camera) registerCamera(f factory) {
	c.cameraUp = f.gauge("camera_up", "1 while the camera is open and delivers frames, otherwise 0.")
	f.counter("camera_frames_total", "Frames that the camera delivered since the daemon started.", nil, &c.frames)
	c.lastFrame = f.gauge("camera_last_frame_timestamp_seconds",
		"When the newest frame was captured, in seconds since the Unix epoch; 0 before the first frame.")
	c.reopens = make(map[camera.Reason]*atomic.Uint64)
	for _, r := range camera.Reasons() {
		c.reopens[r] = new(atomic.Uint64)
		f.counter("camera_reopens_total",
			"Times the camera was closed and opened again, by what was wrong with it.",
			prometheus.Labels{"reason": string(r)}, c.reopens[r])
	}
}

func (c *Camera) registerPipeline(f factory) {
	for d := range dropCount {
		f.counter("frames_dropped_total",
			"Frames given up because the named stage was still busy when a newer one arrived.",
			prometheus.Labels{"stage": d.String()}, &c.drops[d])
	}
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "stage_duration_seconds", Buckets: stageBuckets,
		Help: "Time that one frame spent in the named stage, in seconds, without waiting for it.",
	}, []string{"stage"})
	f.MustRegister(stages)
	for s := range stageCount {
		c.stages[s] = stages.WithLabelValues(s.String())
	}
	c.frameAge = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "frame_age_seconds", Buckets: ageBuckets,
		Help: "Age of a frame when it was ready to show (encoded while there are viewers, otherwise overlaid), in seconds since capture.",
	})
	f.MustRegister(c.frameAge)
}

func registerStream(f factory, stream StreamStats) {
	f.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "rtsp_clients", Help: "RTSP clients that are playing the stream.",
		}, func() float64 { clients, _ := stream(); return float64(clients) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "stream_sent_bytes_total", Help: "Bytes of encoded video sent to RTSP clients.",
		}, func() float64 { _, sent := stream(); return float64(sent) }),
	)
}

// CameraUp says whether the camera is open and delivering.
func (c *Camera) CameraUp(up bool) {
	if up {
		c.cameraUp.Set(1)
	} else {
		c.cameraUp.Set(0)
	}
}

// Frame counts one frame that the camera delivered, captured at the given time.
func (c *Camera) Frame(captured time.Time) {
	c.frames.Add(1)
	c.lastFrame.Set(float64(captured.UnixNano()) / 1e9)
}

// Frames returns how often [Camera.Frame] was called.
func (c *Camera) Frames() uint64 { return c.frames.Load() }

// Reopened counts one reopening of the camera, for one of [camera.Reasons].
func (c *Camera) Reopened(why camera.Reason) { c.reopens[why].Add(1) }

// Reopens returns the number of reopenings, whatever the reason.
func (c *Camera) Reopens() uint64 {
	var n uint64
	for _, count := range c.reopens {
		n += count.Load()
	}
	return n
}

// Dropped counts n frames given up in front of a stage.
func (c *Camera) Dropped(at Drop, n uint64) { c.drops[at].Add(n) }

// DroppedCount returns how many frames were given up in front of a stage.
func (c *Camera) DroppedCount(at Drop) uint64 { return c.drops[at].Load() }

// ObserveStage records the time that one frame spent in a stage, without waiting for it.
func (c *Camera) ObserveStage(s Stage, d time.Duration) { c.stages[s].Observe(d.Seconds()) }

// ObserveFrameAge records how old a frame was when it was ready to show: encoded while
// there are viewers, otherwise overlaid. It is a histogram and not a gauge because a
// scrape sees one frame in hundreds: alert on
// histogram_quantile(0.95, rate(robustnet_frame_age_seconds_bucket[5m])) for a slow
// pipeline, and on time() - robustnet_camera_last_frame_timestamp_seconds for a picture
// that stands still.
func (c *Camera) ObserveFrameAge(age time.Duration) { c.frameAge.Observe(age.Seconds()) }

// SetClasses names the classes of the model, in the order of their ids, and sets their
// shares to zero.
func (c *Camera) SetClasses(classes []string) {
	c.ratios.Reset()
	gauges := make([]prometheus.Gauge, len(classes))
	for i, class := range classes {
		gauges[i] = c.ratios.WithLabelValues(label(class))
	}
	c.classRatio.Store(&gauges)
}

// ClassRatios sets each class's share of the newest mask, 0..1, in the order of the class
// ids given to [Camera.SetClasses]. Surplus values are ignored.
func (c *Camera) ClassRatios(ratios []float64) {
	gauges := *c.classRatio.Load()
	for i, r := range ratios[:min(len(ratios), len(gauges))] {
		gauges[i].Set(r)
	}
}
