package config

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Print writes the configuration as a YAML file that [Load] reads back to the same one,
// with the origin of each value outside the list of cameras in a comment. A password in the camera's address is part
// of it.
func (l Loaded) Print(w io.Writer) error {
	return l.write(w, func(setting) string { return "" }, "")
}

// Explain writes like Print, and before each value what it does, its flag and variable,
// and what it may be.
func (l Loaded) Explain(w io.Writer) error {
	return l.write(w, func(s setting) string {
		return fmt.Sprintf("\n  # %s%s.\n  # --%s, %s: %s\n",
			strings.ToUpper(s.Help[:1]), s.Help[1:], s.Flag, s.Env(), s.allowed())
	}, severalCameras)
}

const severalCameras = `
# Several cameras: entries instead of camera.uri, stream.path, output.video and output.masks.
# The keys of an entry are name, uri, size, fps, no_frame, retry_max, path, video and masks;
# what is left out is as above, and the path of the RTSP stream is then the name.
#
# cameras:
#   - name: front
#     uri: /dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_5A2B3C4D-video-index0
#   - name: rear
#     uri: rtsp://192.168.1.20/stream
#     size: 640x480
`

// write prints every setting after what head makes of it, and tail where there is no list of
// cameras.
func (l Loaded) write(w io.Writer, head func(setting) string, tail string) error {
	var b strings.Builder
	section := ""
	for i, s := range table(&l.Config) {
		if len(l.Config.Cameras) > 0 && slices.Contains(perCamera, s.Key) {
			continue // the entries have it
		}
		if s.Section() != section {
			if i > 0 {
				b.WriteString("\n")
			}
			section = s.Section()
			b.WriteString(section + ":\n")
		}
		line := s.Name() + ": " + scalar(s)
		fmt.Fprintf(&b, "%s  %-32s # %s\n", head(s), line, l.Origins[s.Key])
	}
	l.list(&b)
	if tail != "" && len(l.Config.Cameras) == 0 {
		b.WriteString(tail)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// list prints the list of cameras, if there is one, with what its entries do not have in
// common with the section camera.
func (l Loaded) list(b *strings.Builder) {
	for i := range l.Config.Cameras {
		if i == 0 {
			b.WriteString("\n" + keyCameras + ":\n")
		}
		listed := &l.Config.Cameras[i]
		common := Listed{Camera: l.Config.Camera}
		common.Camera.URI = ""
		usual := common.settings()
		dash := "- "
		for j, s := range listed.settings() {
			if s.text() != usual[j].text() {
				fmt.Fprintf(b, "  %s%s: %s\n", dash, s.Name(), scalar(s))
				dash = "  "
			}
		}
	}
}

// scalar is a value as YAML. Go's escapes are a subset of those in YAML's double quotes
// (YAML 1.2.2 section 5.7).
func scalar(s setting) string {
	text := s.text()
	if s.bare() || !token.IsNeedQuoted(text) {
		return text
	}
	return strconv.Quote(text)
}
