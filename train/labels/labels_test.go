package labels

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/trt"
)

// TestSets compares with the tables of the data sets.
func TestSets(t *testing.T) {
	ignored := map[string]int{"cityscapes": 255, "camvid": 11, "idd-lite": 255}
	for name, want := range map[string][]trt.Class{
		"cityscapes": {
			0: {Name: "road", Color: [3]uint8{128, 64, 128}}, 6: {Name: "traffic light", Color: [3]uint8{250, 170, 30}},
			10: {Name: "sky", Color: [3]uint8{70, 130, 180}}, 18: {Name: "bicycle", Color: [3]uint8{119, 11, 32}},
		},
		"camvid": {
			0: {Name: "sky", Color: [3]uint8{128, 128, 128}}, 3: {Name: "road", Color: [3]uint8{128, 64, 128}},
			10: {Name: "bicyclist", Color: [3]uint8{0, 128, 192}},
		},
		"idd-lite": {0: {Name: "drivable", Color: [3]uint8{128, 64, 128}}, 6: {Name: "sky", Color: [3]uint8{70, 130, 180}}},
	} {
		s, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(s.Classes) != len(want) || s.Ignore != ignored[name] || s.Name != name {
			t.Errorf("%s: %q with %d classes, ignoring %d; want %d, %d", name, s.Name, len(s.Classes), s.Ignore, len(want), ignored[name])
		}
		for i, c := range want {
			if c.Name != "" && s.Classes[i] != c {
				t.Errorf("%s: class %d is %v, want %v", name, i, s.Classes[i], c)
			}
		}
	}
}

func TestGeneric(t *testing.T) {
	s, err := Parse("255")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	colors := map[[3]uint8]string{}
	for _, c := range s.Classes[:60] {
		if other, ok := colors[c.Color]; ok {
			t.Errorf("%s and %s have the same color %v", other, c.Name, c.Color)
		}
		colors[c.Color] = c.Name
	}
	if s.Classes[254].Name != "class 254" {
		t.Errorf("the last class is %q", s.Classes[254].Name)
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "harbour.yaml")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	s, err := Parse(write(t, "ignore: 9\r\nclasses:\r\n  - {name: water, color: [0, 60, 255]}\r\n  - name: quay\r\n    color: [1, 2, 3]\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Set{Name: "harbour", Ignore: 9, Classes: []trt.Class{
		{Name: "water", Color: [3]uint8{0, 60, 255}}, {Name: "quay", Color: [3]uint8{1, 2, 3}},
	}}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("read %v, want %v", s, want)
	}
}

func TestFaults(t *testing.T) {
	const one = "classes:\n  - {name: water, color: [0, 60, 120]}\n"
	for name, c := range map[string]struct{ content, want string }{
		"unknown key":     {one + "colour: 3\n", "harbour.yaml:3:1: unknown field \"colour\""},
		"repeated key":    {one + one, "harbour.yaml:3:1: "},
		"color too large": {"classes:\n  - name: water\n    color: [0, 256, 0]\n", "harbour.yaml:3:16: "},
		"color too short": {"classes:\n  - {name: water, color: [0, 6]}\n", "harbour.yaml: the color of class 0, \"water\", has 2 numbers"},
		"color too long":  {"classes:\n  - {name: water, color: [0, 6, 7, 8]}\n", "has 4 numbers"},
		"color missing":   {"classes:\n  - {name: water}\n", "has 0 numbers"},
		"same name":       {one + "  - {name: water, color: [1, 1, 1]}\n", "classes 0 and 1 are both named \"water\""},
		"no name":         {"classes:\n  - {name: ' ', color: [1, 1, 1]}\n", "class 0 has no name"},
		"ignored class":   {one + "ignore: 0\n", "label 0 is ignored; it must be no class's id: 1 to 255"},
		"ignore text":     {one + "ignore: void\n", "harbour.yaml:3:9: "},
		"no classes":      {"ignore: 255\n", "there are 0 classes"},
		"empty":           {"", "the file is empty"},
		"comment only":    {"# nothing\n", "the file is empty"},
		"a list":          {"- 1\n", "harbour.yaml:1:"},
		"open bracket":    {"classes: [\n", "harbour.yaml:1:"},
		"alias bomb":      {"a: &a [1]\nb: &b [*a, *a]\nclasses: *b\n", "harbour.yaml:"},
		"binary":          {"\xff\xfe\x00", "not text in UTF-8"},
		"huge":            {strings.Repeat("# filler\n", 10000), "larger than 64 KiB"},
		"deep flow":       {"classes: " + strings.Repeat("[", 30000), "levels are nested"},
		"deep lists":      {"classes:\n  " + strings.Repeat("- ", 30000), "levels are nested"},
		"deep blocks":     {deep(180), "levels are nested"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(write(t, c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
		})
	}
	for text, want := range map[string]string{
		"citiscapes": "did you mean cityscapes?", "0": "1 to 255 are possible", "256": "1 to 255 are possible",
		"":          "choose cityscapes, camvid, idd-lite, a file ending in .yaml, or the number of classes",
		"none.yaml": "no such file",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): error %q, want %q in it", text, err, want)
		}
	}
}

// deep is a mapping nested so many times.
func deep(levels int) string {
	var s strings.Builder
	for i := range levels {
		fmt.Fprintf(&s, "%sa:\n", strings.Repeat(" ", i))
	}
	return s.String()
}
