package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Print writes the configuration as a YAML file that [Load] reads back to the same one,
// with the origin of each value in a comment. A password in the camera's address is part
// of it.
func (l Loaded) Print(w io.Writer) error {
	return l.write(w, func(setting) string { return "" })
}

// Explain writes like Print, and before each value what it does, its flag and variable,
// and what it may be.
func (l Loaded) Explain(w io.Writer) error {
	return l.write(w, func(s setting) string {
		return fmt.Sprintf("\n  # %s%s.\n  # --%s, %s: %s\n",
			strings.ToUpper(s.Help[:1]), s.Help[1:], s.Flag, s.Env(), s.allowed())
	})
}

// write prints every setting after what head makes of it.
func (l Loaded) write(w io.Writer, head func(setting) string) error {
	var b strings.Builder
	section := ""
	for i, s := range table(&l.Config) {
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
	_, err := io.WriteString(w, b.String())
	return err
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
