// Package labels names the classes that networks tell apart and says how they are drawn.
package labels

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/robustnet-edge/robustnet/internal/nearest"
	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/internal/strictyaml"
	"github.com/robustnet-edge/robustnet/trt"
)

// Set is a set of classes. A class's id is its place in the list.
type Set struct {
	// Name is that of a known set, "generic", or the file's without its ending.
	Name    string      `yaml:"name"`
	Classes []trt.Class `yaml:"classes"`
	// Ignore is the label id that counts for nothing: 255 or lower, and no class's id.
	Ignore int `yaml:"ignore"`
	// Maps are those to other sets that were named with this one. [FindMap] finds them.
	Maps []NamedMap `yaml:"maps"`
}

// maxClasses leaves one label id of a byte to be ignored.
const maxClasses = 255

// sets are the known sets, in the order in which they are offered.
var sets = []func() Set{Cityscapes, CamVid, IDDLite}

// Names lists the known sets.
func Names() []string {
	names := make([]string, len(sets))
	for i, set := range sets {
		names[i] = set().Name
	}
	return names
}

// Cityscapes returns the 19 train ids of Cityscapes, which GTAV, BDD100K and the published
// checkpoints share, in the colours of the data set.
func Cityscapes() Set {
	return Set{Name: "cityscapes", Ignore: 255, Classes: []trt.Class{
		{Name: "road", Color: [3]uint8{128, 64, 128}},
		{Name: "sidewalk", Color: [3]uint8{244, 35, 232}},
		{Name: "building", Color: [3]uint8{70, 70, 70}},
		{Name: "wall", Color: [3]uint8{102, 102, 156}},
		{Name: "fence", Color: [3]uint8{190, 153, 153}},
		{Name: "pole", Color: [3]uint8{153, 153, 153}},
		{Name: "traffic light", Color: [3]uint8{250, 170, 30}},
		{Name: "traffic sign", Color: [3]uint8{220, 220, 0}},
		{Name: "vegetation", Color: [3]uint8{107, 142, 35}},
		{Name: "terrain", Color: [3]uint8{152, 251, 152}},
		{Name: "sky", Color: [3]uint8{70, 130, 180}},
		{Name: "person", Color: [3]uint8{220, 20, 60}},
		{Name: "rider", Color: [3]uint8{255, 0, 0}},
		{Name: "car", Color: [3]uint8{0, 0, 142}},
		{Name: "truck", Color: [3]uint8{0, 0, 70}},
		{Name: "bus", Color: [3]uint8{0, 60, 100}},
		{Name: "train", Color: [3]uint8{0, 80, 100}},
		{Name: "motorcycle", Color: [3]uint8{0, 0, 230}},
		{Name: "bicycle", Color: [3]uint8{119, 11, 32}},
	}}
}

// CamVid returns the 11 classes of the SegNet split of CamVid, which package scene draws. The
// label images of that split mark void pixels with 11, and nothing with 255.
func CamVid() Set {
	s := Set{Name: "camvid", Ignore: 11}
	palette := scene.ClassPalette()
	for i, name := range scene.ClassNames() {
		s.Classes = append(s.Classes, trt.Class{Name: name, Color: palette[i]})
	}
	return s
}

// IDDLite returns the 7 classes of the India Driving Dataset's coarsest level, in colours of
// Cityscapes classes where they mean the same.
func IDDLite() Set {
	return Set{Name: "idd-lite", Ignore: 255, Classes: []trt.Class{
		{Name: "drivable", Color: [3]uint8{128, 64, 128}},
		{Name: "non-drivable", Color: [3]uint8{244, 35, 232}},
		{Name: "living things", Color: [3]uint8{220, 20, 60}},
		{Name: "vehicles", Color: [3]uint8{0, 0, 142}},
		{Name: "road-side objects", Color: [3]uint8{220, 190, 40}},
		{Name: "far objects", Color: [3]uint8{70, 70, 70}},
		{Name: "sky", Color: [3]uint8{70, 130, 180}},
	}}
}

// Generic returns n classes without a meaning, "class 0" and so on, in colours that lie
// apart.
func Generic(n int) (Set, error) {
	if n < 1 || n > maxClasses {
		return Set{}, fmt.Errorf("%d classes: 1 to %d are possible", n, maxClasses)
	}
	s := Set{Name: "generic", Ignore: 255}
	for i := range n {
		s.Classes = append(s.Classes, trt.Class{Name: fmt.Sprintf("class %d", i), Color: spread(i)})
	}
	return s, nil
}

// spread returns the i-th of a sequence of colours: hues a golden section of the circle
// apart, in three brightnesses.
func spread(i int) [3]uint8 {
	const goldenSection = 0.6180339887498949
	hue := math.Mod(float64(i)*goldenSection, 1) * 6
	level := []float64{230, 170, 110}[i%3]
	var color [3]uint8
	for c := range color {
		distance := math.Abs(math.Mod(hue-2*float64(c)+9, 6) - 3) // from the primary, 0 to 3
		color[c] = uint8(math.Round(level * min(max(2-distance, 0), 1)))
	}
	return color
}

// Parse returns the set that a user names: a known one, a number of [Generic] classes, or a
// YAML file.
func Parse(text string) (Set, error) {
	for _, set := range sets {
		if s := set(); s.Name == text {
			return s, nil
		}
	}
	if n, err := strconv.Atoi(text); err == nil {
		return Generic(n)
	}
	if strings.HasSuffix(text, ".yaml") || strings.HasSuffix(text, ".yml") {
		return Read(text)
	}
	hint := "choose " + strings.Join(Names(), ", ") + ", a file ending in .yaml, or the number of classes"
	if near := nearest.Word(text, Names()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return Set{}, fmt.Errorf("unknown set of classes %q; %s", text, hint)
}

// Read reads a set from a YAML file:
//
//	name: harbour # optional
//	ignore: 255   # optional
//	classes:
//	  - {name: water, color: [0, 60, 120]}
//
// Errors name line and column where the fault has a place.
func Read(path string) (Set, error) {
	file := struct {
		Name    string
		Ignore  int
		Classes []struct {
			Name  string
			Color []uint8
		}
	}{Name: stem(path), Ignore: 255}
	if err := strictyaml.Read(path, &file); err != nil {
		return Set{}, fmt.Errorf("read classes: %w", err)
	}
	s := Set{Name: file.Name, Ignore: file.Ignore}
	for i, c := range file.Classes {
		if len(c.Color) != 3 {
			return Set{}, fmt.Errorf("read classes: %s: the color of class %d, %q, has %d numbers; write [red, green, blue], 0 to 255 each",
				path, i, c.Name, len(c.Color))
		}
		s.Classes = append(s.Classes, trt.Class{Name: c.Name, Color: [3]uint8(c.Color)})
	}
	if err := s.Validate(); err != nil {
		return Set{}, fmt.Errorf("read classes: %s: %w", path, err)
	}
	return s, nil
}

// ColorArray lets strictyaml.Read decode a set that is part of a larger file.
func ColorArray() yaml.DecodeOption {
	return strictyaml.Array(3, func(rgb []uint8) [3]uint8 { return [3]uint8(rgb) })
}

func stem(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	name, _, _ = strings.Cut(name, ".")
	return name
}

// Validate reports everything that is wrong with the set, joined.
func (s Set) Validate() error {
	var errs []error
	if n := len(s.Classes); n < 1 || n > maxClasses {
		return fmt.Errorf("there are %d classes; 1 to %d are possible", n, maxClasses)
	}
	for i, c := range s.Classes {
		if strings.TrimSpace(c.Name) == "" {
			errs = append(errs, fmt.Errorf("class %d has no name", i))
		} else if first := slices.IndexFunc(s.Classes, func(o trt.Class) bool { return o.Name == c.Name }); first < i {
			errs = append(errs, fmt.Errorf("classes %d and %d are both named %q", first, i, c.Name))
		}
	}
	if s.Ignore < len(s.Classes) || s.Ignore > 255 {
		errs = append(errs, fmt.Errorf("label %d is ignored; it must be no class's id: %d to 255", s.Ignore, len(s.Classes)))
	}
	for _, m := range s.Maps {
		errs = append(errs, m.validate(s))
	}
	return errors.Join(errs...)
}

// MarshalYAML writes each class on one line, which a person can edit.
func (s Set) MarshalYAML() (any, error) {
	type class struct {
		Name  string   `yaml:"name"`
		Color [3]uint8 `yaml:"color,flow"`
	}
	file := struct {
		Name    string     `yaml:"name"`
		Ignore  int        `yaml:"ignore"`
		Classes []class    `yaml:"classes"`
		Maps    []NamedMap `yaml:"maps,omitempty"`
	}{Name: s.Name, Ignore: s.Ignore, Maps: s.Maps}
	for _, c := range s.Classes {
		file.Classes = append(file.Classes, class(c))
	}
	return file, nil
}
