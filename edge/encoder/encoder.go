// Package encoder names what can compress pictures to H.264.
package encoder

// Kind is a way of making H.264.
type Kind string

// The kinds of encoder.
const (
	Auto      Kind = "auto"     // the hardware of a Jetson through GStreamer, else the library
	X264      Kind = "x264"     // the library x264, if the program was built with it
	OpenH264  Kind = "openh264" // the library openh264, if the program was built with it
	GStreamer Kind = "gst"      // an element of GStreamer, in a process of its own
)

// All lists every [Kind], in the order in which they are offered.
func All() []Kind { return []Kind{Auto, X264, OpenH264, GStreamer} }
