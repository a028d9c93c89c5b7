package library

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// place puts an empty file into a folder beside the test's program, for the time of the test.
func place(t *testing.T, elements ...string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(append([]string{filepath.Dir(program)}, elements...)...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	return path
}

func TestFind(t *testing.T) {
	const name = "librobustnet-test-of-find.so"
	for title, c := range map[string]struct {
		files [][]string // beside the program
		want  int        // the file that counts, -1 for none
	}{
		"nowhere":            {nil, -1},
		"beside the program": {[][]string{{name}}, 0},
		"in lib":             {[][]string{{"lib", name}}, 0},
		"in both":            {[][]string{{"lib", name}, {name}}, 1},
		"another name":       {[][]string{{name + ".1"}}, -1},
		"another folder":     {[][]string{{"libs", name}}, -1},
	} {
		t.Run(title, func(t *testing.T) {
			want := ""
			for i, elements := range c.files {
				if path := place(t, elements...); i == c.want {
					want = path
				}
			}
			if got := Find(name); got != want {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

func TestFolders(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(program)
	if got, want := Folders(), strings.Join([]string{dir, dir + "/lib", "/usr/lib/robustnet"}, ", "); got != want {
		t.Errorf("folders %s, want %s", got, want)
	}
}

func TestGiven(t *testing.T) {
	const variable = "ROBUSTNET_TEST_OF_GIVEN"
	here, there := place(t, "librobustnet-test-of-given.so"), place(t, "lib", "librobustnet-test-of-given.so")
	for title, c := range map[string]struct {
		path, value, want string
		fails             bool
	}{
		"neither": {}, "named": {path: here, want: here}, "in the variable": {value: there, want: there}, "both": {path: here, value: there, want: here},
		"not there": {path: "/nowhere.so", value: there, want: "/nowhere.so", fails: true},
	} {
		t.Setenv(variable, c.value)
		if got, err := Given(c.path, variable); got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v; want %q", title, got, err, c.want)
		}
	}
}
