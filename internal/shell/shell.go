// Package shell writes commands that people paste into a shell.
package shell

import "strings"

// safe are the characters, besides letters and digits, that mean nothing to a shell.
const safe = "-_./:=,@%+"

// Quote returns the argument as a POSIX shell reads it back: in single quotes where it needs
// them, for the eye without where not.
func Quote(argument string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(safe, r)
	}
	if argument != "" && strings.TrimFunc(argument, plain) == "" {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
