package labels

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/trt"
)

// Ignored marks pixels without a class wherever labels are in memory, whatever number a set's
// files use.
const Ignored = 255

// Map turns the classes of one set into those of another. Several classes may become one, and
// a class may become none.
type Map struct {
	From, To Set
	// IDs holds for each class of From the id of a class of To, or [Ignored].
	IDs []uint8
}

// NamedMap is a map to another set as a person writes it: names of classes to names of To's.
type NamedMap struct {
	To      Set               `yaml:"to"`
	Classes map[string]string `yaml:"classes"`
}

// validate says what is wrong with the map as one from a set.
func (m NamedMap) validate(from Set) error {
	if err := m.To.Validate(); err != nil {
		return fmt.Errorf("map to %q: %w", m.To.Name, err)
	}
	_, err := NewMap(from, m.To, m.Classes)
	return err
}

// NewMap makes a map of class names: classes gives for names of from a name of to. Classes of
// from that it leaves out become [Ignored].
func NewMap(from, to Set, classes map[string]string) (Map, error) {
	m := Map{From: from, To: to, IDs: slices.Repeat([]uint8{Ignored}, len(from.Classes))}
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		i, j := from.index(name), to.index(classes[name])
		if i < 0 {
			return Map{}, fmt.Errorf("map to %s: %q is no class of %s; its classes are %s", to.Name, name, from.Name, from.list())
		}
		if j < 0 {
			return Map{}, fmt.Errorf("map to %s: %q is mapped to %q, which is none of its classes %s", to.Name, name, classes[name], to.list())
		}
		m.IDs[i] = uint8(j)
	}
	return m, nil
}

// Apply maps labels, ids of From's classes or [Ignored], in place. Other ids become Ignored.
func (m Map) Apply(labels []uint8) {
	var table [256]uint8
	for i := range table {
		table[i] = Ignored
	}
	copy(table[:], m.IDs)
	for i, id := range labels {
		labels[i] = table[id]
	}
}

// Reaches tells for each class of To whether some class of From becomes it. A class that is
// not reached can be neither truth nor prediction, and has no place in a mean over classes.
func (m Map) Reaches() []bool {
	reached := make([]bool, len(m.To.Classes))
	for _, id := range m.IDs {
		if id != Ignored {
			reached[id] = true
		}
	}
	return reached
}

// FindMap returns the map between two sets: the first of from's own that fits, or else a known
// one, which are that of every set to itself, and those from Cityscapes and CamVid to sets with
// coarser classes.
func FindMap(from, to Set) (Map, bool) {
	for _, own := range from.Maps {
		if own.To.SameClasses(to) {
			m, err := NewMap(from, to, own.Classes)
			return m, err == nil
		}
	}
	if from.SameClasses(to) {
		classes := map[string]string{}
		for _, c := range from.Classes {
			classes[c.Name] = c.Name
		}
		m, err := NewMap(from, to, classes)
		return m, err == nil
	}
	for _, known := range knownMaps {
		if a, b := known.from(), known.to(); a.SameClasses(from) && b.SameClasses(to) {
			m, err := NewMap(from, to, known.classes)
			return m, err == nil
		}
	}
	return Map{}, false
}

// SameClasses tells whether both sets have the same classes in the same order, whatever
// their colours and their own names.
func (s Set) SameClasses(other Set) bool {
	return slices.EqualFunc(s.Classes, other.Classes, func(a, b trt.Class) bool { return a.Name == b.Name })
}

func (s Set) index(name string) int {
	return slices.IndexFunc(s.Classes, func(c trt.Class) bool { return c.Name == name })
}

func (s Set) list() string {
	names := make([]string, len(s.Classes))
	for i, c := range s.Classes {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

var knownMaps = []struct {
	from, to func() Set
	classes  map[string]string
}{
	// CamVid's car is every motor vehicle, its tree all vegetation, its bicyclist rider and
	// cycle, its sign traffic lights too.
	{Cityscapes, CamVid, map[string]string{
		"road": "road", "sidewalk": "pavement", "building": "building", "wall": "building", "fence": "fence",
		"pole": "pole", "traffic light": "sign", "traffic sign": "sign", "vegetation": "tree", "terrain": "tree",
		"sky": "sky", "person": "pedestrian", "rider": "bicyclist", "car": "car", "truck": "car", "bus": "car",
		"train": "car", "motorcycle": "bicyclist", "bicycle": "bicyclist",
	}},
	// The first level of IDD's hierarchy. Its non-drivable areas are sidewalk and verge, which
	// Cityscapes calls terrain.
	{Cityscapes, IDDLite, map[string]string{
		"road": "drivable", "sidewalk": "non-drivable", "terrain": "non-drivable",
		"person": "living things", "rider": "living things",
		"car": "vehicles", "truck": "vehicles", "bus": "vehicles", "train": "vehicles",
		"motorcycle": "vehicles", "bicycle": "vehicles",
		"wall": "road-side objects", "fence": "road-side objects", "pole": "road-side objects",
		"traffic light": "road-side objects", "traffic sign": "road-side objects",
		"building": "far objects", "vegetation": "far objects", "sky": "sky",
	}},
	{CamVid, IDDLite, map[string]string{
		"sky": "sky", "building": "far objects", "pole": "road-side objects", "road": "drivable",
		"pavement": "non-drivable", "tree": "far objects", "sign": "road-side objects",
		"fence": "road-side objects", "car": "vehicles", "pedestrian": "living things", "bicyclist": "living things",
	}},
}
