package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/trt"
)

// setting is one row of the table: a field of a Config and its names.
type setting struct {
	Key  string // section.name, as in the file
	Flag string // without dashes
	Help string // what it does, in lower case and without a full stop
	value
}

// Keys that code outside the table refers to.
const (
	keyModel           = "model.path"
	keyProvider        = "model.provider"
	keyRTSP            = "stream.rtsp"
	keyHTTP            = "http.address"
	keyPath            = "stream.path"
	keyEncoder         = "stream.encoder"
	keyEncoderPipeline = "stream.encoder_pipeline"
)

// table lists every setting, section by section, bound to the fields of c. It is the
// only place where a setting is described.
func table(c *Config) []setting {
	return slices.Concat(
		c.Camera.settings(),
		c.Model.settings(),
		c.Overlay.settings(),
		c.Stream.settings(),
		c.HTTP.settings(),
		c.Output.settings(),
		c.Log.settings(),
	)
}

func (c *Camera) settings() []setting {
	return []setting{
		{"camera.uri", "camera", "where frames come from: a device, file, folder, network camera, GStreamer pipeline or rendered street",
			text(&c.URI, "address", "such as /dev/video0, csi://0, file:clip.mp4, dir:images/, rtsp://host/path, gst:PIPELINE or synthetic:", cameraURI)},
		{"camera.size", "size", "picture size asked of the camera",
			size(&c.Size)},
		{"camera.fps", "fps", "frames per second asked of the camera",
			decimal(&c.FPS, 1, 240)},
		{"camera.no_frame", "no-frame", "reopen an open camera that is silent for this long",
			span(&c.NoFrame, 500*time.Millisecond, 5*time.Minute)},
		{"camera.retry_max", "retry-max", "longest wait between two attempts to open the camera",
			span(&c.RetryMax, time.Second, 10*time.Minute)},
	}
}

func (m *Model) settings() []setting {
	return []setting{
		{keyModel, "model", "model file (ONNX) or TensorRT engine; nothing for the model inside the program",
			path(&m.Path, "file", "")},
		{"model.threads", "threads", "CPU threads for inference; 0 for all cores but one",
			whole(&m.Threads, 0, 256)},
		{keyProvider, "provider", "what computes an ONNX model; those of GPUs need an ONNX Runtime that has them",
			oneOf(&m.Provider, trt.Providers()...)},
		{"model.library", "onnxruntime", "file of libonnxruntime; nothing to look for it",
			path(&m.Library, "file", "")},
	}
}

func (o *Overlay) settings() []setting {
	return []setting{
		{"overlay.visualize", "visualize", "what the outgoing picture shows",
			oneOf(&o.Visualize, view.All()...)},
		{"overlay.alpha", "alpha", "opacity of the classes' colours",
			decimal(&o.Alpha, 0, 1)},
		{"overlay.legend", "legend", "draw the names of the classes",
			boolean(&o.Legend)},
		{"overlay.stats", "stats", "draw frame rate, latency and dropped frames",
			boolean(&o.Stats)},
		{"overlay.stamp", "stamp", "draw the capture time along the top edge for programs to read",
			boolean(&o.Stamp)},
	}
}

func (s *Stream) settings() []setting {
	return []setting{
		{keyRTSP, "rtsp", "address of the RTSP server",
			listener(&s.RTSP)},
		{keyPath, "path", "path of the RTSP stream, the last part of its URL",
			text(&s.Path, "path", "letters, digits, . _ ~ - and slashes between them", streamPath)},
		{"stream.rtp_port", "rtp-port", "UDP port for RTP, the next one is for RTCP; 0 for RTSP over TCP only",
			rtpPort(&s.RTPPort)},
		{"stream.bitrate_kbps", "bitrate", "video bit rate in kbit/s",
			whole(&s.BitrateKbps, 100, 100_000)},
		{"stream.key_interval", "key-interval", "time between two key frames",
			span(&s.KeyInterval, 100*time.Millisecond, time.Minute)},
		{keyEncoder, "encoder", "what makes H.264; auto is the hardware of a Jetson if it works, else the library inside the program",
			oneOf(&s.Encoder, encoder.All()...)},
		{keyEncoderPipeline, "encoder-pipeline", "elements that the encoder gst runs in place of its own choice; bit rate and key frames are then theirs",
			text(&s.EncoderPipeline, "elements", "elements of GStreamer that make H.264 of raw pictures, or nothing", nil)},
	}
}

func (h *HTTP) settings() []setting {
	return []setting{
		{keyHTTP, "http", "address of the web page, snapshots and metrics",
			listener(&h.Address)},
		{"http.preview_fps", "preview-fps", "pictures per second in the live preview, at most",
			whole(&h.PreviewFPS, 1, 60)},
	}
}

func (o *Output) settings() []setting {
	const forever = 365 * 24 * time.Hour
	return []setting{
		{"output.video", "output", "write the drawn picture to this MP4 file",
			path(&o.Video, "file", ".mp4")},
		{"output.masks", "masks", "write a label image per frame into this folder; older files with other names stay",
			path(&o.Masks, "folder", "")},
		{"output.frames", "frames", "stop after this many frames; 0 for no limit",
			whole(&o.Frames, 0, 1_000_000_000)},
		{"output.duration", "duration", "stop after this time; 0 for no limit",
			span(&o.Duration, 0, forever)},
	}
}

func (l *Log) settings() []setting {
	return []setting{
		{"log.level", "log-level", "least important log lines to write",
			oneOf(&l.Level, "debug", "info", "warn", "error")},
		{"log.format", "log-format", "form of log lines; auto is text on a terminal and JSON otherwise",
			oneOf(&l.Format, LogAuto, LogText, LogJSON)},
		{"log.summary", "summary", "time between two lines of running figures; 0 for none",
			orZero(span(&l.Summary, time.Second, time.Hour))},
	}
}

// environmentPrefix starts every variable of the environment that is ours.
const environmentPrefix = "ROBUSTNET_"

// Env is the setting's variable in the environment.
func (s setting) Env() string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Section is the key's first part.
func (s setting) Section() string { section, _, _ := strings.Cut(s.Key, "."); return section }

// Name is the key's second part.
func (s setting) Name() string { _, name, _ := strings.Cut(s.Key, "."); return name }

func cameraURI(s string) error {
	if _, err := camera.ParseURI(s); err != nil {
		return fmt.Errorf("is not usable: %w", err)
	}
	return nil
}

var streamPathPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$`)

func streamPath(s string) error {
	if !streamPathPattern.MatchString(s) {
		return errRange
	}
	return nil
}

// rtpPort is an even port, because RTCP takes the next one (RFC 3550 section 11), that
// any user may open.
func rtpPort(target *int) field[int] {
	const low, high = 1024, 65534
	f := whole(target, low, high)
	f.want = "an even port from 1024 to 65534"
	f.valid = func(n int) error {
		if n < low || n > high || n%2 != 0 {
			return errRange
		}
		return nil
	}
	return orZero(f)
}
