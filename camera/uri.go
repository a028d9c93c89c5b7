package camera

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// URI names a camera. [ParseURI] makes it.
//
//	/dev/video0                                     a V4L2 device, by any of its paths
//	v4l2:?size=1280x720&fps=30                      the first V4L2 camera
//	v4l2:?serial=2C1B5B5F                           the one with that serial number
//	v4l2:?port=1-2.1                                the one in that USB port
//	file:clip.mp4?loop=1&pace=0                     a video file
//	dir:images/?fps=5&pace=1                        a folder of images
//	rtsp://user:password@host:554/path#transport=tcp  a network camera; rtsps:// too
//	csi://0?sensor-mode=2&flip=2                    a camera on a Jetson's CSI connector
//	gst:v4l2src device=/dev/video0 ! jpegdec        any pipeline of GStreamer
//	synthetic:?scene=street&style=night             a rendered street
type URI struct {
	// Scheme is one of v4l2, file, dir, rtsp, rtsps, csi, gst, synthetic.
	Scheme string
	// Path is the device, file or folder, decoded, or the number of a csi sensor; empty
	// where the scheme needs none.
	Path string
	// Address is the URL of an rtsp or rtsps camera exactly as it was written, without
	// the fragment; empty for other schemes. It may hold a password: log
	// [URI.Redacted] instead.
	Address string
	// Pipeline is the text of a gst camera as it was written; empty for other schemes. It may
	// hold a password, too.
	Pipeline string
	// Params are this program's options: what follows the question mark, or for rtsp
	// and rtsps the number sign, since the query of such an address belongs to the
	// camera. Nil when there are none.
	Params url.Values
}

// schemePrefix is RFC 3986 section 3.1.
var schemePrefix = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)

// ParseURI reads a camera address and checks that every option is known to its scheme
// and well-formed. It touches neither files nor devices. In paths, %XX stands for a
// byte, and a literal question mark or per cent sign must be written that way. Errors
// hold no password.
func ParseURI(s string) (URI, error) {
	if s == "" {
		return URI{}, fmt.Errorf("camera address is empty; give one such as synthetic: or /dev/video0")
	}
	if strings.HasPrefix(s, "/dev/") {
		return parseLocal("v4l2", s)
	}
	m := schemePrefix.FindStringSubmatch(s)
	if m == nil {
		return URI{}, bareWord(s)
	}
	scheme, rest := strings.ToLower(m[1]), s[len(m[0]):]
	if _, known := schemeOptions[scheme]; !known {
		names := sortedKeys(schemeOptions)
		return URI{}, fmt.Errorf("camera scheme %q is unknown%s; known are %s (a file with a colon in its name is file:NAME)",
			scheme, didYouMean(scheme, names), strings.Join(names, ", "))
	}
	switch scheme {
	case "rtsp", "rtsps":
		return parseRemote(scheme, rest)
	case "csi":
		return parseCSI(rest)
	case "gst":
		return parsePipeline(rest)
	}
	return parseLocal(scheme, rest)
}

// bareWord explains what to write instead of an address without a scheme.
func bareWord(s string) error {
	name, _, _ := strings.Cut(s, "?")
	switch {
	case strings.Contains(s, " ! "): // may hold a password, so it is not quoted
		return fmt.Errorf("camera pipeline has no scheme; write gst: before it")
	case strings.Contains(s, "@"): // so may this
		return fmt.Errorf("camera address has no scheme; write rtsp://user:password@host:port/path for a network camera")
	case slices.Contains(sortedKeys(schemeOptions), strings.ToLower(name)):
		return fmt.Errorf("camera %q lacks a colon; write %s:%s", s, strings.ToLower(name), s[len(name):])
	case strings.Trim(name, "0123456789") == "":
		return fmt.Errorf("camera %q is not an address; write /dev/video%s for a device", s, name)
	case strings.HasSuffix(name, "/"):
		return fmt.Errorf("camera %q has no scheme; write dir:%s for a folder of images", s, s)
	case path.Ext(name) != "":
		return fmt.Errorf("camera %q has no scheme; write file:%s for a video file", s, s)
	}
	return fmt.Errorf("camera %q has no scheme; write file:%s for a video file, dir:%s/ for a folder of images or /dev/video0 for a device", s, s, s)
}

func parseLocal(scheme, rest string) (URI, error) {
	raw, query, _ := strings.Cut(rest, "?")
	raw, err := stripAuthority(scheme, raw)
	if err != nil {
		return URI{}, err
	}
	p, err := url.PathUnescape(raw)
	if err != nil {
		return URI{}, fmt.Errorf("camera %s:%s: %w; write a literal per cent sign as %%25", scheme, raw, err)
	}
	if err := checkPath(scheme, p); err != nil {
		return URI{}, err
	}
	params, err := parseOptions(scheme, query)
	if err != nil {
		return URI{}, err
	}
	if p != "" && (params.Has("serial") || params.Has("port")) {
		return URI{}, fmt.Errorf("camera %s:%s has a path, and serial or port besides; give the path, or v4l2:?serial=… or v4l2:?port=…", scheme, p)
	}
	return URI{Scheme: scheme, Path: p, Params: params}, nil
}

// stripAuthority removes the empty or local authority of RFC 8089 (file:///path,
// file://localhost/path).
func stripAuthority(scheme, raw string) (string, error) {
	after, has := strings.CutPrefix(raw, "//")
	if !has {
		return raw, nil
	}
	if after == "" || after[0] == '/' {
		return after, nil
	}
	if local, ok := strings.CutPrefix(after, "localhost/"); ok {
		return "/" + local, nil
	}
	return "", fmt.Errorf("camera %s:%s names another host; write %s:%s for a relative path or %s:///%s for an absolute one",
		scheme, raw, scheme, after, scheme, after)
}

func checkPath(scheme, p string) error {
	switch {
	case strings.IndexFunc(p, unicode.IsControl) >= 0:
		return fmt.Errorf("camera path %q holds a control character", p)
	case scheme == "synthetic" && p != "":
		return fmt.Errorf("camera synthetic: takes no path but has %q; options follow a question mark, as in synthetic:?style=night", p)
	case scheme == "v4l2" && p != "" && p[0] != '/':
		return fmt.Errorf("camera v4l2: needs an absolute device path, not %q; write v4l2:/dev/video0, or v4l2: for the first camera", p)
	case scheme == "file" && p == "":
		return fmt.Errorf("camera file: lacks a path; write file:clip.mp4")
	case scheme == "dir" && p == "":
		return fmt.Errorf("camera dir: lacks a path; write dir:images/, or dir:. for the current folder")
	}
	return nil
}

// parseCSI reads what follows csi:, as in csi://0?sensor-mode=2.
func parseCSI(rest string) (URI, error) {
	sensor, query, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	n, err := strconv.ParseUint(sensor, 10, 8)
	if err != nil {
		return URI{}, fmt.Errorf("camera csi: needs the number of a sensor, not %q; write csi://0 for the first one", sensor)
	}
	params, err := parseOptions("csi", query)
	if err != nil {
		return URI{}, err
	}
	if params.Has("width") != params.Has("height") {
		return URI{}, fmt.Errorf("camera options width and height of csi go together; give both, or neither for the wanted size")
	}
	return URI{Scheme: "csi", Path: strconv.FormatUint(n, 10), Params: params}, nil
}

// parsePipeline takes the text as it is: question marks, equals signs and per cent signs
// belong to GStreamer.
func parsePipeline(rest string) (URI, error) {
	text := strings.TrimSpace(rest)
	switch {
	case text == "":
		return URI{}, fmt.Errorf("camera gst: lacks a pipeline; write one without its sink, such as gst:v4l2src device=/dev/video0 ! jpegdec")
	case strings.IndexFunc(text, unicode.IsControl) >= 0:
		return URI{}, fmt.Errorf("camera pipeline holds a control character; write it in one line")
	}
	return URI{Scheme: "gst", Pipeline: text}, nil
}

// parseRemote keeps the address as it was written: cameras match queries byte for byte.
// Causes from net/url are left out of the errors because they quote what they choke on,
// which may be the password.
func parseRemote(scheme, rest string) (URI, error) {
	address, fragment, _ := strings.Cut(scheme+":"+rest, "#")
	const escapeHint = "in user name, password and path write / as %2F, # as %23, ? as %3F, @ as %40 and % as %25"
	u, err := url.Parse(address)
	if err != nil || strings.Contains(fragment, "@") {
		return URI{}, fmt.Errorf("camera address %s://… is not a valid URL; %s", scheme, escapeHint)
	}
	if u.Host == "" || u.Hostname() == "" {
		return URI{}, fmt.Errorf("camera address %s: lacks a host; write %s://host:port/path", scheme, scheme)
	}
	// A password with a bare slash or question mark parses as a path or query.
	if u.User == nil && (strings.Contains(u.Path, "@") || u.Path == "" && strings.Contains(u.RawQuery, "@")) {
		return URI{}, fmt.Errorf("camera address %s://… has an @ after its host; %s", scheme, escapeHint)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return URI{}, fmt.Errorf("camera address %s://… has a port outside 1..65535", scheme)
		}
	}
	params, err := parseOptions(scheme, fragment)
	if err != nil {
		return URI{}, err
	}
	return URI{Scheme: scheme, Address: address, Params: params}, nil
}

// String returns an address that [ParseURI] reads back to an equal URI. It includes any
// password: logs and errors use [URI.Redacted].
func (u URI) String() string { return u.format(u.Address) }

// secretAssignment finds name=value pairs that carry a secret in the path or query of a
// camera, as in /cam?user=admin&password=1234 or /user=admin_password=1234_channel=1.
var secretAssignment = regexp.MustCompile(`(?i)((?:pass|pwd|secret|token|key|auth)[^=/?&;]*=)[^/?&;]*`)

// secretInPipeline finds the password of an address, as in location=rtsp://admin:1234@host,
// and the value of a property or parameter, as in user-pw=1234.
var secretInPipeline = regexp.MustCompile(`(?i)(://[^/@:\s"]*:)([^/@\s"]*)@|([\w-]*(?:passw|passphrase|pwd|-pw|secret|token|auth)[\w-]*\s*=\s*)("[^"]*"|'[^']*'|[^\s&]+)`)

// mask stands for a secret. It needs no escaping anywhere in a URL.
const mask = "xxxxx"

// Mask masks in a message, such as that of a program which was given the pipeline, what
// looks like a secret in the pipeline.
func (u URI) Mask(message string) string {
	for _, m := range secretInPipeline.FindAllStringSubmatch(u.Pipeline, -1) {
		if secret := strings.Trim(m[2]+m[4], `"'`); secret != "" {
			message = strings.ReplaceAll(message, secret, mask)
		}
	}
	return message
}

// Redacted returns the address with the password masked, and also what looks like a
// secret in the path and query of a network camera or in a pipeline. It is fit for logs.
func (u URI) Redacted() string {
	if u.Pipeline != "" {
		return "gst:" + u.Mask(u.Pipeline)
	}
	if u.Address == "" {
		return u.format("")
	}
	p, err := url.Parse(u.Address)
	if err != nil {
		return u.format(u.Scheme + "://" + mask)
	}
	authority := p.Host
	if p.User != nil {
		user := url.User(p.User.Username()).String()
		if _, has := p.User.Password(); has {
			user += ":" + mask
		}
		authority = user + "@" + authority
	}
	tail := p.EscapedPath()
	if p.RawQuery != "" {
		tail += "?" + p.RawQuery
	}
	return u.format(u.Scheme + "://" + authority + secretAssignment.ReplaceAllString(tail, "${1}"+mask))
}

func (u URI) format(address string) string {
	s := u.Scheme + ":"
	switch {
	case u.Scheme == "rtsp" || u.Scheme == "rtsps":
		if len(u.Params) > 0 {
			address += "#" + u.Params.Encode()
		}
		return address
	case u.Scheme == "gst":
		return s + u.Pipeline
	case u.Scheme == "csi":
		s += "//" // as others write it
	case strings.HasPrefix(u.Path, "//"):
		s += "//" // or the path would read as an authority
	}
	s += (&url.URL{Path: u.Path}).EscapedPath()
	if len(u.Params) > 0 {
		s += "?" + u.Params.Encode()
	}
	return s
}
