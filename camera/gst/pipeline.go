package gst

import (
	"errors"
	"fmt"
	"strings"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch"
)

// What is asked of a CSI camera when neither the address nor the program says.
const (
	defaultWidth  = 1280
	defaultHeight = 720
	defaultFPS    = 30
)

// delivery is what follows every pipeline: while the program is not ready, older pictures give way
// to newer ones, and it gets them as BGR.
const delivery = " ! queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0" +
	" ! videoconvert ! video/x-raw,format=BGR ! " + gstlaunch.Sink

// pipelineOf is the whole pipeline of an address.
func pipelineOf(uri camera.URI, want camera.Want) (string, error) {
	if uri.Scheme == "csi" {
		return csi(uri, want) + delivery, nil
	}
	text, err := withoutAppsink(uri.Pipeline)
	return text + delivery, err
}

// csi writes the pipeline of a CSI camera, of checked numbers only. Pictures come out of
// NVIDIA's memory as BGRx, since nvvidconv has no BGR.
func csi(uri camera.URI, want camera.Want) string {
	width, height := uri.Size()
	if width == 0 {
		width, height = want.Width&^1, want.Height&^1
	}
	if width < 1 || height < 1 {
		width, height = defaultWidth, defaultHeight
	}
	fps := uri.FPS()
	if fps == 0 {
		fps = want.FPS
	}
	if !(fps > 0) {
		fps = defaultFPS
	}
	var b strings.Builder
	fmt.Fprintf(&b, "nvarguscamerasrc sensor-id=%d", sensor(uri))
	if mode := uri.Int("sensor-mode", -1); mode >= 0 {
		fmt.Fprintf(&b, " sensor-mode=%d", mode)
	}
	fmt.Fprintf(&b, " ! video/x-raw(memory:NVMM),format=NV12,width=%d,height=%d,framerate=%s ! nvvidconv",
		width, height, gstlaunch.Fraction(fps))
	if flip := uri.Int("flip", 0); flip > 0 {
		fmt.Fprintf(&b, " flip-method=%d", flip)
	}
	b.WriteString(" ! video/x-raw,format=BGRx")
	return b.String()
}

// sensor is the number in a csi address, which the parser has checked.
func sensor(uri camera.URI) int {
	var n int
	if _, err := fmt.Sscan(uri.Path, &n); err != nil {
		return 0
	}
	return n
}

// withoutAppsink drops the appsink with which pipelines for OpenCV end, in whose place the
// delivery comes. One elsewhere would gather pictures that nobody takes.
func withoutAppsink(pipeline string) (string, error) {
	elements := split(pipeline)
	last := len(elements) - 1
	for i, e := range elements {
		if name, _, _ := strings.Cut(strings.TrimSpace(e), " "); name != "appsink" {
			continue
		}
		if i != last || i == 0 {
			return "", errors.New("appsink stands before the end of the pipeline, or alone; leave it out, or make it the last element")
		}
		return strings.TrimSpace(strings.Join(elements[:i], "!")), nil
	}
	return pipeline, nil
}

// split cuts a pipeline at its exclamation marks, except for those in quotes.
func split(pipeline string) []string {
	var elements []string
	var quote byte // the one that is open
	from := 0
	for i := 0; i < len(pipeline); i++ {
		switch c := pipeline[i]; {
		case c == '\\':
			i++ // what follows is meant literally
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '!':
			elements = append(elements, pipeline[from:i])
			from = i + 1
		}
	}
	return append(elements, pipeline[from:])
}
