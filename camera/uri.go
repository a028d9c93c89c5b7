package camera

import "net/url"

// URI names a camera. [ParseURI] makes it.
type URI struct {
	// Scheme is one of v4l2, file, dir, rtsp, rtsps, synthetic.
	Scheme string
	// Path is the device, file or folder; empty where the scheme needs none.
	Path string
	// Params are the options after the question mark.
	Params url.Values
}
