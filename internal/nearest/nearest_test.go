package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	known := []string{"overlay.alpha", "overlay.legend", "fps", "file", "transport"}
	for word, want := range map[string]string{
		"overlay.alhpa": "overlay.alpha", "overlay.aplha": "overlay.alpha", "overly.legend": "overlay.legend",
		"fsp": "fps", "spf": "", "": "", "zoom": "", "overlay": "", "overlay.l": "overlay.legend",
		"fiel": "file", "transprot": "transport", "tra": "transport", "FPS": "", "fps": "fps",
		strings.Repeat("transport", 1e5): "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("Word(%.20q) = %q, want %q", word, got, want)
		}
	}
	if got := Word("fps", nil); got != "" {
		t.Errorf("Word without known words = %q, want none", got)
	}
}

func TestEditDistance(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"", "abc"}: 3, {"abc", ""}: 3, {"kitten", "sitting"}: 3, {"ab", "ba"}: 1, {"a", "a"}: 0, {"ca", "abc"}: 3,
	} {
		if got := editDistance(pair[0], pair[1]); got != want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", pair[0], pair[1], got, want)
		}
	}
}
