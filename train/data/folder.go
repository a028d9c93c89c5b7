package data

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/robustnet-edge/robustnet/train/internal/strictyaml"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

// DescriptionFile describes a folder of layout "folder".
const DescriptionFile = "dataset.yaml"

// defaultLabels is the folder of labels where the description does not name one.
const defaultLabels = "labels"

// description is dataset.yaml. docs/data.md has an example.
type description struct {
	Name string
	// Root, Images and Labels are folders; Root is relative to the file, and the others to Root.
	// Labels is empty where the description does not name it.
	Root, Images, Labels string
	// LabelSuffix is what follows a picture's name in that of its label file.
	LabelSuffix string `yaml:"label_suffix"`
	// LabelPixels says whether the pixels of label files are ids, as without it, or colours.
	LabelPixels labelPixels `yaml:"label_pixels"`
	Classes     []struct {
		Name string
		// ID is the class's id in label files; without, its place in the list.
		ID    *int
		Color *[3]uint8
	}
	Ignore numbers
	// Maps are class names to class names, by the name of the other set.
	Maps map[string]map[string]string
}

type labelPixels string

const (
	idPixels    labelPixels = "ids"
	colorPixels labelPixels = "colors"
)

// numbers is a number or a list of them.
type numbers []int

func (n *numbers) UnmarshalYAML(text []byte) error {
	var one int
	if err := yaml.Unmarshal(text, &one); err == nil {
		*n = numbers{one}
		return nil
	}
	return yaml.Unmarshal(text, (*[]int)(n))
}

// openFolder opens DIR[:SPLIT], FILE.yaml[:SPLIT] or FILE.yaml@DIR[:SPLIT].
func openFolder(place string) (*Set, []error, error) {
	if file, rest, ok := cutDescribed(place); ok {
		dir, split := splitOff(rest)
		return openDescribed(file, dir, split)
	}
	path, split := splitOff(place)
	if isDir(path) {
		path = filepath.Join(path, DescriptionFile)
	}
	return openDescribed(path, "", split)
}

// cutDescribed takes FILE.yaml@DIR[:SPLIT] apart.
func cutDescribed(place string) (file, dir string, ok bool) {
	file, dir, ok = strings.Cut(place, ".yaml@")
	return file + ".yaml", dir, ok
}

// openDescribed opens a folder by its description. root, if not empty, replaces what the
// description says.
func openDescribed(path, root, split string) (*Set, []error, error) {
	d, err := readDescription(path)
	if err != nil {
		return nil, nil, err
	}
	l, err := d.layout(path)
	if err != nil {
		return nil, nil, &FileError{path, err}
	}
	if root == "" {
		root = filepath.Join(filepath.Dir(path), d.Root)
		if filepath.IsAbs(d.Root) {
			root = d.Root
		}
	}
	set, faults, err := l.open(root, split)
	if err == nil && d.LabelPixels == colorPixels {
		set.colored = path
	}
	return set, faults, err
}

func readDescription(path string) (description, error) {
	d := description{Root: ".", Images: "images", LabelSuffix: ".png", LabelPixels: idPixels, Ignore: numbers{255}}
	err := strictyaml.Read(path, &d, labels.ColorArray())
	if errors.Is(err, os.ErrNotExist) {
		return d, fault(path, "the description of the data set is missing; docs/data.md shows one")
	}
	if err != nil {
		return d, fmt.Errorf("read description: %w", err)
	}
	return d, nil
}

// layout returns what the description says.
func (d description) layout(path string) (*layout, error) {
	classes, ids, err := d.classes(path)
	if err != nil {
		return nil, err
	}
	decode, table, err := d.reader(classes, ids)
	if err != nil {
		return nil, err
	}
	labelFolder := cmp.Or(d.Labels, defaultLabels)
	for _, folder := range []string{d.Images, labelFolder} {
		if !filepath.IsLocal(folder) {
			return nil, fmt.Errorf("folder %q leads out of the data set", folder)
		}
	}
	if classes.Maps, err = d.maps(path); err != nil {
		return nil, err
	}
	return &layout{
		name: folderLayout, classes: func() labels.Set { return classes }, decode: decode, table: table, splits: trainValTest,
		forms: []form{{images: d.Images, labels: labelFolder, labelsNamed: d.Labels != "", imageEnds: anyPicture, labelEnds: []string{d.LabelSuffix}}},
	}, classes.Validate()
}

// maps returns those to other sets; files of classes are relative to the description.
func (d description) maps(path string) (named []labels.NamedMap, err error) {
	for _, name := range slices.Sorted(maps.Keys(d.Maps)) {
		target := name
		if filepath.Ext(name) == ".yaml" && !filepath.IsAbs(name) {
			target = filepath.Join(filepath.Dir(path), name)
		}
		to, err := labels.Parse(target)
		if err != nil {
			return nil, fmt.Errorf("maps: %w", err)
		}
		named = append(named, labels.NamedMap{To: to, Classes: d.Maps[name]})
	}
	return named, nil
}

// reader returns how label files are read.
func (d description) reader(classes labels.Set, ids []int) (decoder, *idTable, error) {
	switch d.LabelPixels {
	case idPixels:
		table, err := describedIDs(ids, d.Ignore)
		return greyIDs, table, err
	case colorPixels:
		return byColor(classes), nil, d.checkColors()
	}
	return nil, nil, fmt.Errorf("label_pixels is %q; take %s or %s", d.LabelPixels, idPixels, colorPixels)
}

// checkColors wants the colours to tell the classes apart.
func (d description) checkColors() error {
	owner := map[[3]uint8]string{}
	for _, c := range d.Classes {
		if c.Color == nil || c.ID != nil {
			return fmt.Errorf("class %q: where label_pixels is %s, every class has a color, and none an id", c.Name, colorPixels)
		}
		if other, taken := owner[*c.Color]; taken {
			return fmt.Errorf("classes %q and %q have the same color, so label files cannot tell them apart", other, c.Name)
		}
		owner[*c.Color] = c.Name
	}
	return nil
}

// classes returns the classes in the order of the file, and their ids in label files.
func (d description) classes(path string) (labels.Set, []int, error) {
	s := labels.Set{Name: d.Name, Ignore: 255}
	if s.Name == "" {
		s.Name = strings.TrimSuffix(setName(path, ""), ".yaml")
		if filepath.Base(path) == DescriptionFile {
			s.Name = setName(filepath.Dir(path), "")
		}
	}
	spare, err := labels.Generic(max(len(d.Classes), 1))
	if err != nil {
		return labels.Set{}, nil, err
	}
	ids := make([]int, len(d.Classes))
	for i, c := range d.Classes {
		if c.ID != nil != (d.Classes[0].ID != nil) {
			return labels.Set{}, nil, errors.New("some classes have an id and others have none; give all of them one, or none")
		}
		ids[i] = i
		if c.ID != nil {
			ids[i] = *c.ID
		}
		color := spare.Classes[i].Color
		if c.Color != nil {
			color = *c.Color
		}
		s.Classes = append(s.Classes, trt.Class{Name: c.Name, Color: color})
	}
	return s, ids, s.Validate()
}
