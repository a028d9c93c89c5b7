package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// value reads and writes one field of a Config as text.
type value interface {
	// set parses, checks and stores; on an error, which says what is allowed, the field
	// keeps its value.
	set(text string) error
	// text is what set would read back to the same value.
	text() string
	// check tells what is wrong with the value that the field has now.
	check() error
	// kind is a word for the help: what to write here.
	kind() string
	// allowed completes "want …".
	allowed() string
	// bare tells that YAML must not quote the value: it is a number or a truth value.
	bare() bool
}

// field is a value of one Go type.
type field[T any] struct {
	target *T
	parse  func(string) (T, error)
	format func(T) string
	valid  func(T) error // nil when every T will do

	word   string // see value.kind
	want   string // see value.allowed
	number bool   // see value.bare
}

// errRange stands for "as the setting's allowed text says".
var errRange = errors.New("not allowed")

func (f field[T]) set(text string) error {
	v, err := f.parse(text)
	if err == nil && f.valid != nil {
		err = f.valid(v)
	}
	if err != nil {
		return f.explain(text, err)
	}
	*f.target = v
	return nil
}

func (f field[T]) check() error {
	if f.valid == nil {
		return nil
	}
	if err := f.valid(*f.target); err != nil {
		return f.explain(f.text(), err)
	}
	return nil
}

// explain makes the second half of a sentence that starts with the key.
func (f field[T]) explain(text string, err error) error {
	if !errors.Is(err, errRange) {
		return err
	}
	return fmt.Errorf("is %s; want %s", show(text, f.number), f.want)
}

func (f field[T]) text() string    { return f.format(*f.target) }
func (f field[T]) kind() string    { return f.word }
func (f field[T]) allowed() string { return f.want }
func (f field[T]) bare() bool      { return f.number }

// show makes text from outside fit for a message: in quotes unless it is bare and needs
// none, and not too long.
func show(text string, bare bool) string {
	const most = 80
	quoted := strconv.Quote(text)
	if bare && len(text) > 0 && len(quoted) == len(text)+len(`""`) {
		quoted = text
	}
	if utf8.RuneCountInString(quoted) > most {
		quoted = string([]rune(quoted)[:most]) + "…"
	}
	return quoted
}

// boolean is a switch.
func boolean(target *bool) field[bool] {
	parse := func(s string) (bool, error) {
		if s != "true" && s != "false" {
			return false, errRange
		}
		return s == "true", nil
	}
	return field[bool]{target: target, parse: parse, format: strconv.FormatBool,
		want: "true or false", number: true}
}

// whole is an integer from low to high.
func whole(target *int, low, high int) field[int] {
	parse := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, errRange
		}
		return n, nil
	}
	return field[int]{target: target, parse: parse, format: strconv.Itoa, valid: within(low, high),
		word: "number", want: fmt.Sprintf("a whole number from %d to %d", low, high), number: true}
}

// decimal is a number from low to high.
func decimal(target *float64, low, high float64) field[float64] {
	parse := func(s string) (float64, error) {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, errRange
		}
		return x, nil
	}
	format := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	return field[float64]{target: target, parse: parse, format: format, valid: within(low, high),
		word: "number", want: fmt.Sprintf("a number from %v to %v", low, high), number: true}
}

// span is a duration from low to high.
func span(target *time.Duration, low, high time.Duration) field[time.Duration] {
	parse := func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, errRange
		}
		return d, nil
	}
	want := fmt.Sprintf("a duration from %s to %s, with its unit", formatDuration(low), formatDuration(high))
	return field[time.Duration]{target: target, parse: parse, format: formatDuration,
		valid: within(low, high), word: "duration", want: want}
}

// orZero lets 0 through, which means off (or no limit) where low is above it.
func orZero[T int | time.Duration](f field[T]) field[T] {
	valid := f.valid
	f.valid = func(v T) error {
		if v == 0 {
			return nil
		}
		return valid(v)
	}
	f.want = "0 or " + f.want
	return f
}

func within[T int | float64 | time.Duration](low, high T) func(T) error {
	return func(v T) error {
		if v >= low && v <= high { // false for NaN too
			return nil
		}
		return errRange
	}
}

// formatDuration leaves out the units that are zero: 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// oneOf is a choice among words.
func oneOf[T ~string](target *T, choices ...T) field[T] {
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = string(c)
	}
	parse := func(s string) (T, error) { return T(s), nil }
	valid := func(v T) error {
		for _, c := range choices {
			if v == c {
				return nil
			}
		}
		return errRange
	}
	last := len(words) - 1
	return field[T]{target: target, parse: parse, format: func(v T) string { return string(v) }, valid: valid,
		word: strings.Join(words, "|"), want: strings.Join(words[:last], ", ") + " or " + words[last]}
}

// text is a line of text that valid accepts.
func text(target *string, word, want string, valid func(string) error) field[string] {
	return field[string]{target: target, word: word, want: want,
		parse:  func(s string) (string, error) { return s, nil },
		format: func(s string) string { return s },
		valid: func(s string) error {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				return fmt.Errorf("is %s; control characters are not allowed", show(s, false))
			}
			if valid == nil {
				return nil
			}
			return valid(s)
		}}
}

// path is the path of a file or folder, or nothing; ext, if any, is how it must end.
func path(target *string, word, ext string) field[string] {
	if ext == "" {
		return text(target, word, "a path, or nothing", nil)
	}
	return text(target, word, "a path that ends in "+ext+", or nothing", func(s string) error {
		if s != "" && !strings.EqualFold(filepath.Ext(s), ext) {
			return errRange
		}
		return nil
	})
}

// off is how a listener is disabled; the field then holds the empty string.
const off = "off"

// listener is the address of a server: host:port, or off.
func listener(target *string) field[string] {
	valid := func(s string) error {
		if s == "" {
			return nil
		}
		_, port, err := net.SplitHostPort(s)
		if err != nil {
			return errRange
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errRange
		}
		return nil
	}
	f := text(target, "host:port", "host:port with a port from 0 to 65535, or off", valid)
	f.parse = func(s string) (string, error) {
		if s == off {
			return "", nil
		}
		return s, nil
	}
	f.format = func(s string) string {
		if s == "" {
			return off
		}
		return s
	}
	return f
}

// The bounds of a wanted picture size. Eight thousand lines are beyond every camera.
const (
	leastSide  = 16
	mostWidth  = 7680
	mostHeight = 4320
)

var sizePattern = regexp.MustCompile(`^([1-9][0-9]{0,4})x([1-9][0-9]{0,4})$`)

// ParseSize reads a size in the form 1280x720.
func ParseSize(s string) (Size, error) {
	m := sizePattern.FindStringSubmatch(s)
	if m == nil {
		return Size{}, fmt.Errorf("size is %s; want width x height such as 1280x720", show(s, false))
	}
	width, _ := strconv.Atoi(m[1]) // the pattern leaves only digits, five at most
	height, _ := strconv.Atoi(m[2])
	return Size{Width: width, Height: height}, nil
}

func size(target *Size) field[Size] {
	parse := func(s string) (Size, error) {
		v, err := ParseSize(s)
		if err != nil {
			return v, errRange
		}
		return v, nil
	}
	valid := func(s Size) error {
		if s.Width < leastSide || s.Width > mostWidth || s.Height < leastSide || s.Height > mostHeight {
			return errRange
		}
		return nil
	}
	want := fmt.Sprintf("a size from %dx%d to %dx%d, such as 1280x720", leastSide, leastSide, mostWidth, mostHeight)
	return field[Size]{target: target, parse: parse, format: Size.String, valid: valid, word: "WxH", want: want}
}
