// Package config holds the settings of the daemon: what they are, what they may be, and
// where each one came from.
//
// Settings come in layers: the defaults, then a YAML file, then ROBUSTNET_* variables of
// the environment, then flags. [Load] reads them all and reports every fault at once.
// File keys, variable names, flags, help texts and the printed configuration all follow
// from one table, [table].
package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/trt"
)

// Config is what the daemon needs to know. [Default] makes a usable one.
type Config struct {
	Camera Camera
	// Cameras are the cameras where there are several; Camera then has what their entries
	// left open. [Config.Feeds] joins the two.
	Cameras []Listed
	Model   Model
	Overlay Overlay
	Stream  Stream
	HTTP    HTTP
	Output  Output
	Log     Log
}

// Camera says where frames come from and how patient to be.
type Camera struct {
	// URI names the camera as camera.ParseURI reads it. It may hold a password.
	URI string
	// Size and FPS are what is wished for; the camera comes as near as it can.
	Size Size
	FPS  float64
	// NoFrame is how long an open camera may stay silent before it is reopened.
	NoFrame time.Duration
	// RetryMax is the longest wait between two attempts to open the camera.
	RetryMax time.Duration
}

// Model says which network runs, and with what.
type Model struct {
	// Path is the model file; empty for the one inside the program.
	Path string
	// Threads is the number of CPU threads for inference; 0 leaves one core to the rest.
	Threads int
	// Provider is what computes an ONNX model; engines of TensorRT need none.
	Provider trt.Provider
	// Library is the file of libonnxruntime; empty to look for it.
	Library string
}

// Overlay says how the picture is drawn.
type Overlay struct {
	// Visualize is what the outgoing picture shows.
	Visualize view.View
	// Alpha is the opacity of the classes' colours, 0..1.
	Alpha float64
	// Legend and Stats draw the classes' names and the running figures.
	Legend, Stats bool
	// Stamp draws the capture time along the top edge in a form that programs read.
	Stamp bool
}

// Stream says how viewers receive the picture over RTSP.
type Stream struct {
	// RTSP is the address to listen on (TCP); empty for no server.
	RTSP string
	// Path is the last part of the stream's URL.
	Path string
	// RTPPort is the even UDP port for RTP; RTCP takes the next. 0 offers TCP only.
	RTPPort int
	// BitrateKbps is the video's rate in kilobits (1,000 bits) per second.
	BitrateKbps int
	// KeyInterval is the time between two key frames.
	KeyInterval time.Duration
	// Encoder is what makes H.264, for viewers and for the MP4 file.
	Encoder encoder.Kind
	// EncoderPipeline replaces the elements that the encoder gst would choose; empty to let it.
	EncoderPipeline string
}

// HTTP says how the pages, snapshots and metrics are served.
type HTTP struct {
	// Address is the address to listen on; empty for no server.
	Address string
	// PreviewFPS limits the live preview, in pictures per second.
	PreviewFPS int
}

// Output says what is written to disk, and when the daemon stops by itself.
type Output struct {
	// Video is the MP4 file for the drawn picture; empty for none.
	Video string
	// Masks is the folder for label images; empty for none.
	Masks string
	// Frames and Duration end the run; 0 is no limit.
	Frames   int
	Duration time.Duration
}

// LogFormat is how log lines look.
type LogFormat string

// The log formats.
const (
	LogAuto LogFormat = "auto" // text on a terminal, JSON otherwise
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Log says what is told, and how.
type Log struct {
	// Level is debug, info, warn or error, as zerolog.ParseLevel reads it.
	Level  string
	Format LogFormat
	// Summary is the time between two lines of running figures; 0 for none.
	Summary time.Duration
}

// Size is a picture's size in pixels, written 1280x720.
type Size struct {
	Width, Height int
}

// String is the inverse of [ParseSize].
func (s Size) String() string {
	return strconv.Itoa(s.Width) + "x" + strconv.Itoa(s.Height)
}

// Default is the configuration of a daemon that was told nothing.
func Default() Config {
	return Config{
		Camera: Camera{
			URI:      "synthetic:",
			Size:     Size{Width: 1280, Height: 720},
			FPS:      30,
			NoFrame:  5 * time.Second,
			RetryMax: 15 * time.Second,
		},
		Model:   Model{Provider: trt.CPU},
		Overlay: Overlay{Visualize: view.Overlay, Alpha: 0.5, Legend: true, Stats: true},
		Stream: Stream{
			RTSP:        "127.0.0.1:8554",
			Path:        "overlay",
			RTPPort:     8000,
			BitrateKbps: 4000,
			KeyInterval: 2 * time.Second,
			Encoder:     encoder.Auto,
		},
		HTTP: HTTP{Address: "127.0.0.1:8080", PreviewFPS: 10},
		Log:  Log{Level: "info", Format: LogAuto, Summary: 10 * time.Second},
	}
}

// Validate checks a configuration that was made in code. The error is of type [Faults].
// What [Load] and [Check] return is valid already.
func (c Config) Validate() error {
	var faults Faults
	for _, s := range table(&c) {
		if err := s.check(); err != nil {
			faults = append(faults, Fault{Key: s.Key, Problem: s.Key + " " + err.Error()})
		}
	}
	for i := range c.Cameras {
		for _, s := range c.Cameras[i].settings() {
			if err := s.check(); err != nil {
				key := fmt.Sprintf("%s[%d].%s", keyCameras, i, s.Name())
				faults = append(faults, Fault{Key: key, Problem: key + " " + err.Error()})
			}
		}
	}
	faults = append(faults, conflicts(c, nil, faults)...)
	return append(faults, listConflicts(c, nil, nil)...).orNil()
}

// engineEnding ends the names of TensorRT's engines.
const engineEnding = ".engine"

// conflicts finds settings that are good by themselves and bad together. It leaves out
// the keys that have faults already.
func conflicts(c Config, origins map[string]Origin, known Faults) Faults {
	var faults Faults
	if !known.touch(keyEncoder) && c.Stream.EncoderPipeline != "" && c.Stream.Encoder != encoder.GStreamer {
		key := later(origins, keyEncoderPipeline, keyEncoder)
		faults = append(faults, Fault{Origin: origins[key], Key: key, Problem: fmt.Sprintf(
			"%s is for the encoder %s, not %s; set %s to %[2]s, or leave the pipeline out",
			keyEncoderPipeline, encoder.GStreamer, c.Stream.Encoder, keyEncoder)})
	}
	if !known.touch(keyProvider) && !known.touch(keyModel) && filepath.Ext(c.Model.Path) == engineEnding && c.Model.Provider != trt.CPU {
		key := later(origins, keyProvider, keyModel)
		faults = append(faults, Fault{Origin: origins[key], Key: key, Problem: fmt.Sprintf(
			"%s %s is for ONNX models, and %s is an engine, which TensorRT itself runs; leave the provider out, or give the .onnx model",
			keyProvider, c.Model.Provider, c.Model.Path)})
	}
	if !known.touch(keyRTSP) && !known.touch(keyHTTP) && sameListener(c.Stream.RTSP, c.HTTP.Address) {
		key := later(origins, keyHTTP, keyRTSP)
		other := keyRTSP
		if key == keyRTSP {
			other = keyHTTP
		}
		faults = append(faults, Fault{Origin: origins[key], Key: key, Problem: fmt.Sprintf(
			"RTSP on %s and HTTP on %s cannot share a port; change %s or %s",
			c.Stream.RTSP, c.HTTP.Address, key, other)})
	}
	return faults
}

// later is the key of the layer that spoke last, with which a fault of two lies, or key.
func later(origins map[string]Origin, key, other string) string {
	if origins[other].Layer > origins[key].Layer {
		return other
	}
	return key
}

// sameListener tells whether two TCP servers would claim the same port. Port 0 never
// collides: the system picks a free one.
func sameListener(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || anyHost(hostA) || anyHost(hostB)
}

func anyHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
