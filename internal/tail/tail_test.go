package tail

import (
	"strings"
	"testing"
)

func TestBuffer(t *testing.T) {
	for name, test := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":         {nil, ""},
		"less":            {[]string{"ab", "c"}, "abc"},
		"just enough":     {[]string{"abc", "", "def"}, "abcdef"},
		"the first goes":  {[]string{"abc", "def", "g"}, "bcdefg"},
		"more in one":     {[]string{"abc", strings.Repeat("x", 100) + "uvwxyz"}, "uvwxyz"},
		"many small ones": {strings.Split("the quick brown fox", ""), "wn fox"},
	} {
		b := New(6)
		for _, w := range test.writes {
			if n, err := b.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("%s: Write(%q) = %d, %v", name, w, n, err)
			}
		}
		got := b.Bytes()
		if string(got) != test.want {
			t.Errorf("%s: %q is kept, want %q", name, got, test.want)
		}
		for i := range got {
			got[i] = '!'
		}
		if again := b.Bytes(); string(again) != test.want {
			t.Errorf("%s: after a change of what Bytes returned, %q is kept", name, again)
		}
	}
}
