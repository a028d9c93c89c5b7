package web

// Status is the daemon's state as served by /api/v1/status and shown on the page. Field
// names carry their units; what has none is a count. It is described for other languages
// by /api/v1/openapi.json.
type Status struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	// UptimeSeconds is the time since the daemon started.
	UptimeSeconds float64     `json:"uptime_seconds"`
	Model         ModelStatus `json:"model"`
	// Cameras are in the order of the configuration; there is one at least.
	Cameras []CameraStatus `json:"cameras"`
	// Machine is nil where the computer has no sensors.
	Machine *MachineStatus `json:"machine"`
	// Preview is filled in by the [Server].
	Preview       PreviewStatus       `json:"preview"`
	Configuration ConfigurationStatus `json:"configuration"`
}

// CameraStatus describes one camera and what becomes of its frames.
type CameraStatus struct {
	// Name is the camera's in the configuration.
	Name   string       `json:"name"`
	Source SourceStatus `json:"source"`
	// ClassPixelRatios are each class's share of the newest mask's pixels, 0..1, in the order
	// of the model's classes.
	ClassPixelRatios []float64      `json:"class_pixel_ratios"`
	Pipeline         PipelineStatus `json:"pipeline"`
	Stream           StreamStatus   `json:"stream"`
	// Output is nil unless the daemon writes files.
	Output *OutputStatus `json:"output"`
}

// CameraState is what the camera is doing.
type CameraState string

// The camera states.
const (
	CameraOpening CameraState = "opening" // being opened for the first time
	CameraUp      CameraState = "up"      // delivering frames
	CameraLost    CameraState = "lost"    // delivered before, now being retried
	CameraEnded   CameraState = "ended"   // a finite source came to its end
	CameraFailed  CameraState = "failed"  // given up for good; the others go on
)

// SourceStatus describes where a camera's frames come from.
type SourceStatus struct {
	// URI is where frames come from, without any password.
	URI   string      `json:"uri"`
	State CameraState `json:"state"`
	// Error says why the camera is not up, in one line without any password.
	Error string `json:"error"`
	// Width and Height are in pixels, FPS is the camera's nominal rate in frames per
	// second; 0 when not known.
	Width  int     `json:"width"`
	Height int     `json:"height"`
	FPS    float64 `json:"fps"`
	// Format is what the camera delivers before conversion, e.g. "MJPEG".
	Format string `json:"format"`
	// Frames and Reopens count since the daemon started.
	Frames  uint64 `json:"frames"`
	Reopens uint64 `json:"reopens"`
	// LastFrameAgeSeconds is the time since the newest frame was captured; nil before the
	// first.
	LastFrameAgeSeconds *float64 `json:"last_frame_age_seconds"`
}

// ModelStatus describes the loaded model.
type ModelStatus struct {
	Name string `json:"name"`
	// Backend names the inference library, its version and device.
	Backend string `json:"backend"`
	Input   Size   `json:"input"`
	Mask    Size   `json:"mask"`
	// Threads is the number of CPU threads used for inference.
	Threads int `json:"threads"`
	// Classes are in the order of their ids.
	Classes []ClassStatus `json:"classes"`
}

// Size is in pixels.
type Size struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// ClassStatus describes one class that the model knows.
type ClassStatus struct {
	Name string `json:"name"`
	// Color is the overlay colour as "#rrggbb".
	Color string `json:"color"`
}

// PipelineStatus says how the frame pipeline performed in the last seconds.
type PipelineStatus struct {
	// FPS is the rate of frames that went through the model, per second.
	FPS float64 `json:"fps"`
	// LatencyMS is from capture to the finished overlay or encoded picture, InferMS the
	// time in the network, both in milliseconds.
	LatencyMS Quantiles `json:"latency_ms"`
	InferMS   Quantiles `json:"infer_ms"`
	// OverheadMS is the time from capture to the encoded picture less InferMS: what the
	// pipeline adds. It is measured while pictures are encoded, in milliseconds.
	OverheadMS Quantiles `json:"overhead_ms"`
	// Dropped counts frames since start, by the stage that was busy.
	Dropped map[string]uint64 `json:"dropped"`
}

// Quantiles of recent measurements; zero when there are none.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// StreamStatus describes the RTSP stream.
type StreamStatus struct {
	// RTSPURL is where players connect; empty when there is no RTSP server. The [Server]
	// replaces an unspecified host (0.0.0.0 or [::]) by the one in the request.
	RTSPURL string `json:"rtsp_url"`
	// Viewers is the number of RTSP clients that are playing. Nothing is encoded for the
	// stream while it is 0.
	Viewers int `json:"viewers"`
	// Encoder names the video encoder.
	Encoder string `json:"encoder"`
	// BitrateKbps is the encoder's target in 1000 bits per second.
	BitrateKbps int `json:"bitrate_kbps"`
	// SentBytes counts encoded video sent since the daemon started.
	SentBytes uint64 `json:"sent_bytes"`
}

// MachineStatus is what the computer's sensors say. What they do not is nil or empty.
type MachineStatus struct {
	// HottestZone names the thermal zone with the highest temperature.
	HottestZone    string   `json:"hottest_zone"`
	HottestCelsius *float64 `json:"hottest_celsius"`
	// PowerWatts is what the module takes, without its carrier board.
	PowerWatts *float64 `json:"power_watts"`
	// PowerMode is the one that nvpmodel was set to.
	PowerMode string `json:"power_mode"`
	// GPULoadRatio is the share of time in which the integrated GPU computed, 0..1.
	GPULoadRatio      *float64 `json:"gpu_load_ratio"`
	GPUFrequencyHertz *float64 `json:"gpu_frequency_hertz"`
	// Throttled says what has held clocks back in the last ten seconds, such as "under-voltage,
	// heat"; empty for nothing.
	Throttled string `json:"throttled"`
}

// PreviewStatus describes the motion JPEG preview.
type PreviewStatus struct {
	// Viewers is the number of open previews, at most MaxViewers.
	Viewers    int `json:"viewers"`
	MaxViewers int `json:"max_viewers"`
	// FPS is the highest rate in frames per second.
	FPS int `json:"fps"`
}

// OutputStatus describes the files that are being written.
type OutputStatus struct {
	// Video is the path of the video file, Masks the folder of label images; empty when
	// not written.
	Video string `json:"video"`
	Masks string `json:"masks"`
	// Frames counts the pictures written to each.
	Frames uint64 `json:"frames"`
}

// ConfigurationStatus tells what became of the configuration that was read last.
type ConfigurationStatus struct {
	// Applied is false when it was refused, and the one before is in use.
	Applied bool `json:"applied"`
	// Error says why it was refused.
	Error string `json:"error"`
}
