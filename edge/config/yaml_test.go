package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestFilesThatAreFine(t *testing.T) {
	defaults := Default()
	slower := Default()
	slower.Camera.FPS = 20
	for name, c := range map[string]struct {
		yaml string
		want Config
	}{
		"empty":            {"", defaults},
		"comments":         {"# nothing\n\n# here\n", defaults},
		"document start":   {"---\ncamera:\n  fps: 20\n", slower},
		"empty section":    {"camera:\n  # fps: 10\nlog:\n", defaults},
		"null":             {"null\n", defaults},
		"byte order mark":  {"\ufeffcamera:\n  fps: 20\n", slower},
		"carriage returns": {"camera:\r\n  fps: 20\r\n", slower},
		"flow style":       {"camera: {fps: 20}", slower},
		"JSON":             {`{"camera": {"fps": 20}}`, slower},
		"quoted keys":      {"'camera':\n  \"fps\": 2e1 # slow\n", slower},
		"no last newline":  {"camera:\n  fps: 20", slower},
	} {
		got, err := fromYAML(c.yaml)
		if err != nil || !reflect.DeepEqual(got.Config, c.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got.Config, err, c.want)
		}
	}
}

func TestTextIsTakenAsWritten(t *testing.T) {
	for written, want := range map[string]string{
		"007": "007", "0x10": "0x10", "1.50": "1.50", "true": "true", "yes": "yes", "2026-01-02": "2026-01-02",
		`'1'`: "1", `"a\x41b"`: "aAb", "plain # comment": "plain",
	} {
		got, err := fromYAML("stream:\n  path: " + written + "\n")
		if err != nil || got.Config.Stream.Path != want {
			t.Errorf("path: %s is %q, %v; want %q", written, got.Config.Stream.Path, err, want)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"tab":               {"camera:\n\tfps: 20\n", "edge.yaml:2:1: not valid YAML: indent with spaces, not tabs"},
		"colon":             {"camera:\n  uri: synthetic:\n", `edge.yaml:2:8: not valid YAML: a colon does not belong here; quote text that ends in a colon, as in "synthetic:"`},
		"open quote":        {"camera:\n  uri: 'a\n", "edge.yaml:2:8: not valid YAML: could not find end character of single-quoted text"},
		"two documents":     {"camera:\n  fps: 20\n---\nlog:\n", "edge.yaml:3:1: a second document starts here; one file holds one configuration"},
		"one value":         {"fast\n", "edge.yaml:1:1: the file is one value; want lines of key: value"},
		"section is value":  {"camera: 0\n", "edge.yaml:1:9: camera is one value; want lines of key: value"},
		"duplicate key":     {"camera:\n  fps: 20\n  fps: 20\n", "edge.yaml:3:3: camera.fps is here twice; the first is in line 2"},
		"duplicate section": {"log:\ncamera:\nlog:\n", "edge.yaml:3:1: log is here twice; the first is in line 1"},
		"quoted number":     {"camera:\n  fps: '20'\n", "edge.yaml:2:8: camera.fps is text; write a number from 1 to 240 without quotes"},
		"bare duration":     {"camera:\n  no_frame: 5\n", `edge.yaml:2:13: camera.no_frame is "5"; want a duration from 500ms to 5m, with its unit`},
		"mapping as value":  {"log:\n  level: {a: b}\n", "edge.yaml:2:10: log.level has keys of its own; want debug, info, warn or error (quote text that ends in a colon, as in \"synthetic:\")"},
		"null as value":     {"log:\n  level: ~\n", "edge.yaml:2:3: log.level has no value; leave the line out for the default"},
		"anchor":            {"camera: &a\n  fps: 20\n", "edge.yaml:1:9: anchors and aliases are not supported; write the value out"},
		"list":              {"camera:\n- fps\n", "edge.yaml:2:1: " + noList},
		"key elsewhere":     {"alpha: 0.5\n", "edge.yaml:1:1: unknown key alpha; did you mean overlay.alpha?"},
		"dotted key":        {"camera.fps: 20\ncamera:\n  fps: 20\n", "edge.yaml:1:1: camera.fps is two keys in a file; write fps: in a line below camera:"},
		"flag as key":       {"stream:\n  bitrate: 3\n", "edge.yaml:2:3: unknown key stream.bitrate; did you mean stream.bitrate_kbps?"},
		"escape codes":      {"\"\\e[31m\": 1\n", `edge.yaml:1:1: unknown key "\x1b[31m"`},
		"braces":            {strings.Repeat("{a: ", 100), "edge.yaml:1:33: nested too deeply; settings are section, name and value"},
		"not UTF-8":         {"camera:\n  uri: \xff\n", "edge.yaml: the file is not text in UTF-8"},
		"UTF-16":            {"\xff\xfec\x00a\x00", "edge.yaml: the file is not text in UTF-8"},
		"too large":         {strings.Repeat("# zeros\n", maxFileBytes/8+1), "edge.yaml: the file is larger than 64 KiB; is it a configuration?"},
	} {
		_, err := fromYAML(c.yaml)
		got := lines(t, err)
		if len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: got %q, want first %q", name, got, c.want)
		}
	}
}

// Nesting and repetition must neither exhaust the stack nor take long; the test's own
// time limit judges the latter.
func TestHostileNesting(t *testing.T) {
	for _, unit := range []string{"[", "{", "- ", "? ", "a: ", "[{", "{a: ", "- ? ", "a: {", "&a ", "!t ", "\"", "*a\n"} {
		for _, prefix := range []string{"", "camera: ", "camera:\n  uri: "} {
			content := prefix + strings.Repeat(unit, (maxFileBytes-len(prefix))/len(unit))
			if _, err := fromYAML(content); err == nil {
				t.Errorf("%q and many %q passed", prefix, unit)
			}
		}
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none.yaml")
	for path, want := range map[string]string{
		missing: "read configuration: open " + missing + ": no such file or directory",
		dir:     "read configuration: read " + dir + ": is a directory",
	} {
		if _, err := Check(path); err == nil || err.Error() != want {
			t.Errorf("Check(%s) = %v, want %s", path, err, want)
		}
		if _, err := Load(Sources{Flags: parsed(t, "--config", path)}); err == nil || err.Error() != "--config: "+want {
			t.Errorf("Load with --config %s = %v, want it at --config", path, err)
		}
	}
}

// A file larger than the limit is not read to its end, however long it is.
func TestEndlessFile(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("no /dev/zero here")
	}
	_, err := Check("/dev/zero")
	if got := lines(t, err); len(got) != 1 || !strings.Contains(got[0], "larger than 64 KiB") {
		t.Errorf("got %q, want one fault about the size", got)
	}
}

// FuzzYAML: no file makes the loader panic, faults are placed and worded, nothing that an
// accepted file says is ignored, and its configuration survives being printed and loaded
// again.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"", "camera:\n  uri: \"synthetic:\"\n  fps: 29.97\n", "overlay: {alpha: 0.1, legend: false}\n",
		"stream:\n  path: 007\n  rtsp: off\n", "model:\n  path: \"a\\u200bb: #\"\n  library: 'x'\n", "output:\n  masks: |\n    a\n",
		"log: &a\n  level: *a\n", "? a\n: b\n", "---\n...\n", "\ufeff#\r\n", "http:\n  address: [::1]:80\n", "<<: {}\n", "%YAML 1.2\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		first, err := fromYAML(string(content))
		if err != nil {
			for _, line := range lines(t, err) {
				if !strings.HasPrefix(line, "edge.yaml:") || strings.HasSuffix(line, ": ") {
					t.Errorf("fault without place or problem: %q", line)
				}
			}
			return
		}
		var decoded any
		if err := yaml.Unmarshal(bytes.TrimPrefix(content, []byte("\ufeff")), &decoded); err != nil {
			t.Fatalf("accepted what is not YAML: %v", err)
		}
		sections, _ := decoded.(map[string]any)
		for section, content := range sections {
			values, _ := content.(map[string]any)
			for name := range values {
				if first.Origins[section+"."+name].Layer != LayerFile {
					t.Errorf("%s.%s is in the file and was ignored", section, name)
				}
			}
		}
		var b bytes.Buffer
		if err := first.Print(&b); err != nil {
			t.Fatal(err)
		}
		second, err := fromYAML(b.String())
		if err != nil {
			t.Fatalf("printed configuration is refused: %v\n%s", err, &b)
		}
		if !reflect.DeepEqual(second.Config, first.Config) {
			t.Errorf("printed and loaded again: %+v\nwant %+v\n%s", second.Config, first.Config, &b)
		}
	})
}
