package labels

import (
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/trt"
)

// TestKnownMaps compares with maps written by hand, class id by class id.
func TestKnownMaps(t *testing.T) {
	for name, c := range map[string]struct {
		from, to Set
		want     []uint8
		missed   []string // classes that nothing becomes
	}{
		"cityscapes to camvid": {Cityscapes(), CamVid(), []uint8{3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10}, nil},
		"camvid to idd-lite":   {CamVid(), IDDLite(), []uint8{6, 5, 4, 0, 1, 5, 4, 4, 3, 2, 2}, nil},
		// IDD's level 1 of AutoNUE's label table, by the train ids of Cityscapes in it.
		"cityscapes to idd-lite": {Cityscapes(), IDDLite(), []uint8{0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3}, nil},
		"itself":                 {IDDLite(), IDDLite(), []uint8{0, 1, 2, 3, 4, 5, 6}, nil},
	} {
		m, ok := FindMap(c.from, c.to)
		if !ok || !slices.Equal(m.IDs, c.want) {
			t.Errorf("%s: %v, %t; want %v", name, m.IDs, ok, c.want)
		}
		for i, reached := range m.Reaches() {
			if class := c.to.Classes[i].Name; reached == slices.Contains(c.missed, class) {
				t.Errorf("%s: class %s is reached: %t", name, class, reached)
			}
		}
	}
	for name, c := range map[string][2]Set{
		"to finer classes": {CamVid(), Cityscapes()}, "to others": {Cityscapes(), {Classes: []trt.Class{{Name: "water"}}}},
	} {
		if m, ok := FindMap(c[0], c[1]); ok {
			t.Errorf("%s: there is a map %v", name, m.IDs)
		}
	}
}

// TestNewMap maps some classes only.
func TestNewMap(t *testing.T) {
	harbour := Set{Name: "harbour", Classes: []trt.Class{{Name: "water"}, {Name: "quay"}, {Name: "crane"}}}
	m, err := NewMap(harbour, CamVid(), map[string]string{"quay": "road", "crane": "pole"})
	if err != nil {
		t.Fatal(err)
	}
	labels := []uint8{0, 1, 2, 3, Ignored}
	m.Apply(labels)
	if want := []uint8{Ignored, 3, 2, Ignored, Ignored}; !slices.Equal(labels, want) {
		t.Errorf("labels become %v, want %v", labels, want)
	}
	want := slices.Repeat([]bool{false}, 11)
	want[2], want[3] = true, true
	if got := m.Reaches(); !slices.Equal(got, want) {
		t.Errorf("reaches %v, want %v", got, want)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown class":       {"wharf", "road", `"wharf" is no class of harbour; its classes are water, quay, crane`},
		"unknown other class": {"quay", "street", `"quay" is mapped to "street", which is none of its classes sky, building`},
	} {
		if _, err := NewMap(harbour, CamVid(), map[string]string{c.from: c.to}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// TestFindNamedMap takes a set's own maps before the known ones, and the first that fits.
func TestFindNamedMap(t *testing.T) {
	harbour := Set{Name: "harbour", Ignore: 255, Classes: []trt.Class{{Name: "water"}, {Name: "quay"}}}
	harbour.Maps = []NamedMap{
		{To: IDDLite(), Classes: map[string]string{"quay": "drivable"}},
		{To: CamVid(), Classes: map[string]string{"quay": "road"}},
		{To: CamVid(), Classes: map[string]string{"quay": "pavement"}},
	}
	cityscapes := Cityscapes()
	cityscapes.Maps = []NamedMap{{To: IDDLite(), Classes: map[string]string{"car": "vehicles"}}}
	onlyCars := slices.Repeat([]uint8{Ignored}, 19)
	onlyCars[13] = 3
	for name, c := range map[string]struct {
		from, to Set
		want     []uint8
	}{
		"named":            {harbour, CamVid(), []uint8{Ignored, 3}},
		"before the known": {cityscapes, IDDLite(), onlyCars},
		"itself":           {harbour, harbour, []uint8{0, 1}},
	} {
		if err := c.from.Validate(); err != nil {
			t.Fatal(err)
		}
		if m, ok := FindMap(c.from, c.to); !ok || !slices.Equal(m.IDs, c.want) {
			t.Errorf("%s: %v, %t; want %v", name, m.IDs, ok, c.want)
		}
	}
	for _, none := range [][2]Set{{harbour, Cityscapes()}, {CamVid(), harbour}} {
		if m, ok := FindMap(none[0], none[1]); ok {
			t.Errorf("from %s to %s there is a map %v that nobody wrote", none[0].Name, none[1].Name, m.IDs)
		}
	}
}
