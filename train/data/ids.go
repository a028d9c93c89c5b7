package data

import (
	"fmt"
	"slices"
	"strings"
)

// idTable says what the ids in label files become: a class id, [Ignored], or unknown.
type idTable [256]int16

// unknown marks ids that the data set's description does not have.
const unknown = -1

// newTable makes a table in which all but the ignored ids are unknown.
func newTable(ignored ...uint8) *idTable {
	var t idTable
	for i := range t {
		t[i] = unknown
	}
	for _, id := range ignored {
		t[id] = Ignored
	}
	return &t
}

// apply maps ids in place, or reports those that are unknown.
func (t *idTable) apply(ids []uint8) error {
	var to [256]uint8
	for i, id := range t {
		to[i] = uint8(max(id, 0))
	}
	var pixels [256]int
	for i, id := range ids {
		pixels[id]++
		ids[i] = to[id]
	}
	var strange UnknownIDs
	for id, n := range pixels {
		if n > 0 && t[id] == unknown {
			strange = append(strange, UnknownID{uint8(id), n})
		}
	}
	if strange != nil {
		return strange
	}
	return nil
}

// UnknownID is a label id that the description of a data set does not have.
type UnknownID struct {
	ID uint8
	// Pixels is how many pixels of the file have it.
	Pixels int
}

// UnknownIDs is the error for a label file with such ids, in their order.
type UnknownIDs []UnknownID

func (u UnknownIDs) Error() string {
	parts := make([]string, len(u))
	for i, id := range u {
		unit := "pixels"
		if id.Pixels == 1 {
			unit = "pixel"
		}
		parts[i] = fmt.Sprintf("%d (%d %s)", id.ID, id.Pixels, unit)
	}
	return "label ids that the layout does not know: " + strings.Join(parts, ", ")
}

// The tables below are those of the data sets' own tools and of RobustNet's loaders.

// trainIDs are the 19 train ids as such.
func trainIDs() *idTable { return places(19, 255) }

// places maps the ids 0 to n-1 to themselves.
func places(n int, ignored ...uint8) *idTable {
	t := newTable(ignored...)
	for i := range n {
		t[i] = int16(i)
	}
	return t
}

// cityscapesIDs maps the ids of *_labelIds.png to train ids. Tools that derive such files
// write 255 for the licence plate, whose id is -1.
func cityscapesIDs() *idTable {
	t := newTable(255)
	for id := range 34 {
		t[id] = Ignored
	}
	for train, id := range []uint8{7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33} {
		t[id] = int16(train)
	}
	return t
}

// mapillaryIDs maps the 66 ids of Mapillary Vistas 1.2 to train ids.
func mapillaryIDs() *idTable {
	t := newTable()
	for id := range 66 {
		t[id] = Ignored
	}
	for train, ids := range [][]uint8{
		{13, 24, 41}, {2, 15}, {17}, {6}, {3}, {45, 47}, {48}, {50}, {30}, {29}, {27}, {19},
		{20, 21, 22}, {55}, {61}, {54}, {58}, {57}, {52},
	} {
		for _, id := range ids {
			t[id] = int16(train)
		}
	}
	return t
}

// synthiaIDs maps the 23 ids of SYNTHIA-RAND-CITYSCAPES to train ids.
func synthiaIDs() *idTable {
	t := newTable()
	for id, train := range []uint8{255, 10, 2, 0, 1, 4, 8, 5, 13, 7, 11, 18, 17, 255, 255, 6, 9, 12, 14, 15, 16, 3, 255} {
		t[id] = int16(train)
	}
	return t
}

// describedIDs maps ids to the classes' places.
func describedIDs(classIDs []int, ignored []int) (*idTable, error) {
	t := newTable()
	for _, id := range ignored {
		if id < 0 || id > 255 {
			return nil, fmt.Errorf("label id %d is ignored; ids are 0 to 255", id)
		}
		t[id] = Ignored
	}
	for class, id := range classIDs {
		switch {
		case id < 0 || id > 255:
			return nil, fmt.Errorf("class %d has id %d; ids are 0 to 255", class, id)
		case slices.Contains(ignored, id):
			return nil, fmt.Errorf("id %d is both that of class %d and ignored", id, class)
		case t[id] != unknown:
			return nil, fmt.Errorf("classes %d and %d both have id %d", t[id], class, id)
		}
		t[id] = int16(class)
	}
	return t, nil
}
