package scene

// Class ids of the label map: the eleven CamVid classes in the order of the SegNet split.
const (
	ClassSky byte = iota
	ClassBuilding
	ClassPole
	ClassRoad
	ClassPavement
	ClassTree
	ClassSign
	ClassFence
	ClassCar
	ClassPedestrian
	ClassBicyclist

	// NumClasses is the number of classes. Every pixel belongs to one of them; the
	// dataset's void class does not occur.
	NumClasses = 11
)

// ClassNames returns the classes' names, indexed by class id.
func ClassNames() []string {
	return []string{
		"sky", "building", "pole", "road", "pavement", "tree",
		"sign", "fence", "car", "pedestrian", "bicyclist",
	}
}

// ClassPalette returns the colours in which CamVid label maps are customarily drawn, as
// red, green, blue, indexed by class id.
func ClassPalette() [NumClasses][3]uint8 {
	return [NumClasses][3]uint8{
		{128, 128, 128}, {128, 0, 0}, {192, 192, 128}, {128, 64, 128}, {60, 40, 222}, {128, 128, 0},
		{192, 128, 128}, {64, 64, 128}, {64, 0, 128}, {64, 64, 0}, {0, 128, 192},
	}
}
