// Package nearest guesses which word was meant, for messages about mistyped names.
package nearest

import (
	"slices"
	"strings"
)

// maxLen is the longest word in bytes that is compared: names are shorter, and the time grows
// with its square.
const maxLen = 64

// Word returns the known word that is most likely meant by a mistyped or cut one, or "" when
// none is near. Case counts.
func Word(word string, known []string) string {
	if len(word) > maxLen {
		return ""
	}
	if len(word) > 2 {
		longer := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !strings.HasPrefix(k, word) })
		if len(longer) == 1 {
			return longer[0]
		}
	}
	const mostEdits = 3
	best, bestDistance := "", 1+max(1, min(mostEdits, len(word)/3))
	for _, k := range known {
		if d := editDistance(word, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// editDistance is the number of single-byte insertions, deletions, replacements and swaps
// of neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
