package gstlaunch

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/tail"
)

// fault is how a pipeline failed, in words for people.
type fault struct {
	text     string
	unusable bool
}

func (f fault) Error() string        { return f.text }
func (f fault) Is(target error) bool { return f.unusable && target == ErrUnusable }

func unusable(text string) error { return fault{text: text, unusable: true} }

// What gst-launch-1.0 prints in English before it says what is wrong.
const (
	atParsing   = "WARNING: erroneous pipeline: "
	atBuilding  = "ERROR: pipeline could not be constructed: "
	fromElement = "ERROR: from element "
	debugInfo   = "Additional debug info:"
)

// explain finds the first error in what a process printed. The others follow from it.
func explain(output string, status error) error {
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		for _, prefix := range []string{atParsing, atBuilding} {
			if what, ok := strings.CutPrefix(line, prefix); ok {
				return unusable("GStreamer cannot make the pipeline: " + strings.TrimSuffix(what, ".") + advice(what))
			}
		}
		if what, ok := strings.CutPrefix(line, fromElement); ok {
			return fault{text: "GStreamer: " + element(what, lines[i+1:])}
		}
	}
	return ended(launcher, output, status)
}

// ended says how a program ended that gave no reason, with the last line that it printed.
func ended(program, output string, status error) error {
	text := fmt.Sprintf("%s ended: %v", program, status)
	output = strings.TrimSpace(output)
	if last := strings.TrimSpace(output[strings.LastIndexByte(output, '\n')+1:]); last != "" {
		text += " (" + last + ")"
	}
	return fault{text: text}
}

// element makes "v4l2src0: Cannot identify device '/dev/video9' (system error: …)" of
// "/GstPipeline:pipeline0/GstV4l2Src:v4l2src0: Cannot identify device '/dev/video9'." and the
// lines after it: a heading, the place in the source, and sometimes a detail.
func element(what string, after []string) string {
	where, text, found := strings.Cut(what, ": ")
	if !found {
		return what
	}
	_, name, _ := strings.Cut(path.Base(where), ":")
	text = name + ": " + strings.TrimSuffix(text, ".")
	if len(after) < 3 || after[0] != debugInfo {
		return text
	}
	detail := strings.TrimSpace(after[2])
	if detail == "" || strings.HasPrefix(detail, "ERROR:") {
		return text
	}
	return text + " (" + detail + ")"
}

// advice says what to do about a missing element.
func advice(what string) string {
	quoted, ok := strings.CutPrefix(what, `no element "`)
	if !ok {
		return ""
	}
	name := strings.Trim(quoted, `".`)
	return strings.TrimPrefix(NoElement(name), name)
}

// NoElement is the name of an element that is missing, and how to get it.
func NoElement(name string) string {
	if strings.HasPrefix(name, "nv") {
		return name + "; it comes with NVIDIA's system for Jetson (package nvidia-l4t-gstreamer)"
	}
	return name + "; install the plug-ins that have it (gstreamer1.0-plugins-base, -good, -bad or -ugly), or look for its name with gst-inspect-1.0"
}

// outputBytes is enough for several errors with their details.
const outputBytes = 8192

// output is what a process prints. One goroutine writes it.
type output struct {
	*tail.Buffer
	// onFault is called with the first error of an element.
	onFault func()
	fault   bool
}

// Write implements [io.Writer].
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Buffer.Write(p)
	if !o.fault && bytes.Contains(o.Bytes(), []byte(fromElement)) {
		o.fault = true
		o.onFault()
	}
	return n, err
}

// printable is what can be printed of it.
func printable(output []byte) string {
	return string(bytes.ToValidUTF8(bytes.ReplaceAll(output, []byte{0}, nil), []byte("?")))
}
