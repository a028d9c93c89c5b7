package config

import (
	"fmt"
	"strings"
)

// FlagHelp describes the flag of every setting for --help, section by section: what it
// does, what it may be, its default and its variable.
func FlagHelp() string {
	const column = 28 // where descriptions start
	indent := strings.Repeat(" ", column)
	c := Default()
	var b strings.Builder
	section := ""
	for _, s := range table(&c) {
		if s.Section() != section {
			section = s.Section()
			fmt.Fprintf(&b, "\nSection %s:\n", section)
		}
		name := strings.TrimRight("  --"+s.Flag+" "+s.kind(), " ")
		if len(name) >= column {
			name += "\n" + indent
		}
		fmt.Fprintf(&b, "%-*s%s\n", column, name, s.Help)
		value := s.text()
		if value == "" {
			value = "nothing"
		}
		fmt.Fprintf(&b, "%s%s: %s (default %s)\n", indent, s.Env(), s.allowed(), value)
	}
	return strings.TrimPrefix(b.String(), "\n")
}
