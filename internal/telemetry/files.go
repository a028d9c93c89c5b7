package telemetry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

const (
	// maxLine is what the kernel hands out in one piece.
	maxLine = 4096
	// maxSensors of one kind are looked at: more than any machine has.
	maxSensors = 512
	// maxName is in characters; the kernel's own names have less.
	maxName = 64
)

// errOther says that a file now belongs to another sensor than the one that was found there:
// numbers of devices are used again.
var errOther = errors.New("another sensor has taken its place")

// vanished tells whether a sensor is gone, and not merely silent for now as that of a part
// without power is.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOther) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO)
}

// line returns the text of a small file.
func line(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLine))
	if err != nil {
		return "", err
	}
	return strings.Trim(string(text), " \t\r\n\x00"), nil
}

// number reads a whole number and refuses one that no such sensor can have.
func number(path string, least, most int64) (int64, error) {
	text, err := line(path)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	if v < least || v > most {
		return 0, fmt.Errorf("read %s: %d is outside %d..%d", path, v, least, most)
	}
	return v, nil
}

// expect fails unless the file still has this name of a sensor in it.
func expect(path, name string) error {
	text, err := line(path)
	if err == nil && tidy(text) != name {
		return errOther
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// optional returns the path, or "" where there is no such file.
func optional(path string) string {
	if exists(path) {
		return path
	}
	return ""
}

// nameIn reads the name of a sensor, empty if there is none.
func nameIn(path string) string {
	text, err := line(path)
	if err != nil {
		return ""
	}
	return tidy(text)
}

// tidy makes a name one short line of valid UTF-8.
func tidy(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	runes := []rune(strings.Join(strings.Fields(name), " "))
	return string(runes[:min(len(runes), maxName)])
}

// folders returns those in dir whose names are prefix and a number, in the order of the numbers.
func folders(dir, prefix string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var numbers []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), prefix)
		// Atoi takes signs and zeros in front, of which no folder has any.
		if n, err := strconv.Atoi(digits); ok && err == nil && strconv.Itoa(n) == digits && n >= 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	var found []string
	for _, n := range numbers[:min(len(numbers), maxSensors)] {
		found = append(found, filepath.Join(dir, prefix+strconv.Itoa(n)))
	}
	return found
}

// names makes those of sensors unique.
type names map[string]bool

func (n names) unique(name string) string {
	own := name
	for i := 2; n[own]; i++ {
		own = name + "-" + strconv.Itoa(i)
	}
	n[own] = true
	return own
}

// firstOf reads the first of some numbers that is there and sound; 0 if none is.
func firstOf(most int64, paths ...string) int64 {
	for _, path := range paths {
		if v, err := number(path, 1, most); err == nil {
			return v
		}
	}
	return 0
}
