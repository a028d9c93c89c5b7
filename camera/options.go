package camera

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// Limits of the size and fps options.
const (
	minSide = 16
	maxFPS  = 240
)

// optionCheck says why a value is unfit for its option, and what would fit.
type optionCheck func(value string) error

// schemeOptions lists the options of each scheme.
var schemeOptions = map[string]map[string]optionCheck{
	"v4l2":  {"size": checkSize, "fps": checkFPS, "format": checkWord, "serial": checkLine, "port": checkPort},
	"file":  {"loop": checkBool, "pace": checkBool},
	"dir":   {"fps": checkFPS, "loop": checkBool, "pace": checkBool},
	"rtsp":  {"transport": checkTransport, "timeout": checkTimeout},
	"rtsps": {"transport": checkTransport, "timeout": checkTimeout},
	"csi": {
		"sensor-mode": checkRange(0, 255), "width": checkSide, "height": checkSide, "fps": checkFPS, "flip": checkRange(0, 7),
	},
	"gst": {}, // all is GStreamer's
	"synthetic": {
		"scene": checkWord, "style": checkWord, "size": checkSize, "fps": checkFPS,
		"seed": checkInt, "pace": checkBool, "frames": checkCount,
	},
}

func parseOptions(scheme, query string) (url.Values, error) {
	if query == "" {
		return nil, nil
	}
	known := schemeOptions[scheme]
	names := sortedKeys(known)
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("camera options of %s: %w; write them as name=value&name=value", scheme, err)
	}
	for _, name := range sortedKeys(params) {
		check, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("camera option %q is unknown to %s%s; known are %s",
				name, scheme, didYouMean(name, names), strings.Join(names, ", "))
		}
		values := params[name]
		if len(values) > 1 {
			return nil, fmt.Errorf("camera option %s is given %d times; give it once", name, len(values))
		}
		if err := check(values[0]); err != nil {
			return nil, fmt.Errorf("camera option %s=%s: %w", name, values[0], err)
		}
	}
	if len(params) == 0 {
		return nil, nil
	}
	return params, nil
}

func checkSize(v string) error {
	_, _, err := parseSize(v)
	return err
}

func parseSize(v string) (width, height int, err error) {
	ws, hs, _ := strings.Cut(v, "x")
	width, errW := strconv.Atoi(ws)
	height, errH := strconv.Atoi(hs)
	if errors.Join(errW, errH) != nil {
		return 0, 0, errors.New("want WIDTHxHEIGHT, such as 1280x720")
	}
	for _, side := range []int{width, height} {
		if side < minSide || side > MaxSide || side%2 != 0 {
			return 0, 0, fmt.Errorf("width and height must be even and within %d..%d", minSide, MaxSide)
		}
	}
	return width, height, nil
}

func checkSide(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n < minSide || n > MaxSide || n%2 != 0 {
		return fmt.Errorf("want an even number of pixels within %d..%d", minSide, MaxSide)
	}
	return nil
}

// checkRange wants a whole number from low to high.
func checkRange(low, high int) optionCheck {
	return func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number within %d..%d", low, high)
		}
		return nil
	}
}

func checkFPS(v string) error {
	// The comparison is written so that NaN fails it.
	if f, err := strconv.ParseFloat(v, 64); err != nil || !(f > 0 && f <= maxFPS) {
		return fmt.Errorf("want frames per second above 0 and up to %d, such as 30", maxFPS)
	}
	return nil
}

func checkBool(v string) error {
	if v != "0" && v != "1" {
		return errors.New("want 0 or 1")
	}
	return nil
}

func checkInt(v string) error {
	if _, err := strconv.ParseInt(v, 10, 64); err != nil {
		return errors.New("want a whole number")
	}
	return nil
}

func checkCount(v string) error {
	if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 1 {
		return errors.New("want a whole number, 1 or more")
	}
	return nil
}

func checkTransport(v string) error {
	if v != "tcp" && v != "udp" && v != "auto" {
		return errors.New("want tcp, udp or auto")
	}
	return nil
}

func checkTimeout(v string) error {
	if d, err := time.ParseDuration(v); err != nil || d < 100*time.Millisecond || d > 10*time.Minute {
		return errors.New("want a duration within 100ms..10m, such as 5s")
	}
	return nil
}

func checkWord(v string) error {
	if v == "" || strings.ContainsFunc(v, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}) {
		return errors.New("want one word of letters, digits, - and _")
	}
	return nil
}

// checkLine wants any text that fits one line.
func checkLine(v string) error {
	if strings.TrimSpace(v) == "" || strings.ContainsFunc(v, unicode.IsControl) || !utf8.ValidString(v) {
		return errors.New("want text without control characters")
	}
	return nil
}

// checkPort wants the name of a device of sysfs.
func checkPort(v string) error {
	if v == "" || strings.ContainsFunc(v, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:", r))
	}) {
		return errors.New("want a USB port such as 1-2.1, as robustnet-edge cameras shows it")
	}
	return nil
}

// The getters below never fail on what ParseURI returned; on a URI made by hand, an
// unusable value counts as absent.

// Size is the size option in pixels, or the width and height options; 0×0 when they are
// absent.
func (u URI) Size() (width, height int) {
	if w, h := u.Params.Get("width"), u.Params.Get("height"); checkSide(w) == nil && checkSide(h) == nil {
		return int(u.Int("width", 0)), int(u.Int("height", 0))
	}
	width, height, err := parseSize(u.Params.Get("size"))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// FPS is the fps option in frames per second, 0 when it is absent.
func (u URI) FPS() float64 {
	v := u.Params.Get("fps")
	if checkFPS(v) != nil {
		return 0
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return 0
	}
	return f
}

// Bool is the option name, or absent when it is not given.
func (u URI) Bool(name string, absent bool) bool {
	switch u.Params.Get(name) {
	case "0":
		return false
	case "1":
		return true
	}
	return absent
}

// Int is the option name, or absent when it is not given.
func (u URI) Int(name string, absent int64) int64 {
	if n, err := strconv.ParseInt(u.Params.Get(name), 10, 64); err == nil {
		return n
	}
	return absent
}

// Duration is the option name, or absent when it is not given.
func (u URI) Duration(name string, absent time.Duration) time.Duration {
	if d, err := time.ParseDuration(u.Params.Get(name)); err == nil {
		return d
	}
	return absent
}

// Text is the option name, or absent when it is not given.
func (u URI) Text(name, absent string) string {
	if v := u.Params.Get(name); v != "" {
		return v
	}
	return absent
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// didYouMean returns a question that names the word nearest to got, or nothing if none
// is near.
func didYouMean(got string, words []string) string {
	near := nearest.Word(strings.ToLower(got), words)
	if near == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", near)
}
