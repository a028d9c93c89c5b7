package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// The layouts that are not folders of a known data set.
const (
	folderLayout = "folder"
	scenesLayout = "scenes"
)

// LayoutNames returns what may stand for LAYOUT in a source, see [Open].
func LayoutNames() []string {
	var names []string
	for _, l := range layouts() {
		names = append(names, l.name)
	}
	return append(names, folderLayout, scenesLayout)
}

// Open finds the pictures of a source, without reading them. A source is
// [NAME=]LAYOUT=DIR[:SPLIT]:
//
//	cityscapes=DIR:val        leftImg8bit/SPLIT, gtFine/SPLIT
//	gtav=DIR:train            images/SPLIT, labels/SPLIT in colours
//	bdd100k=DIR:val           images/SPLIT, labels/SPLIT/*_train_id.png
//	mapillary=DIR:val         validation/images, validation/labels
//	synthia=DIR:train         RGB/SPLIT, GT/LABELS/SPLIT
//	idd=DIR:val               leftImg8bit/SPLIT, gtFine/SPLIT/*_label.png
//	camvid=DIR:train          SPLIT, SPLITannot
//	folder=DIR:SPLIT          images, labels, splits/SPLIT.txt, dataset.yaml
//	folder=FILE.yaml@DIR      a description outside the folder
//	scenes=day+rain:0-1999    procedural streets with these seeds
//
// Where a layout has a folder for each split, that of training is the default. All but
// cityscapes, synthia and scenes may also come as images/ and labels/ with lists of names,
// splits/SPLIT.txt; there the default is every picture. Several splits are joined by "+". A
// folder whose name has a colon is taken whole if it exists. docs/data.md has the trees.
//
// A picture without its label file, a listed name without picture, or a folder of labels that
// a description names and that is not there, is an error that names all of them.
func Open(source string) (*Set, error) {
	return openWithout(source, errOrphan)
}

// openWithout opens a source in spite of some faults.
func openWithout(source string, harmless ...error) (*Set, error) {
	set, faults, err := open(source)
	if err != nil {
		return nil, fmt.Errorf("open data set %s: %w", source, err)
	}
	faults = slices.DeleteFunc(faults, func(fault error) bool {
		return slices.ContainsFunc(harmless, func(known error) bool { return errors.Is(fault, known) })
	})
	if len(faults) > 0 {
		const shown = 10
		more := ""
		if n := len(faults) - shown; n > 0 {
			more = fmt.Sprintf("\nand %d more; 'robustnet-train check' lists all", n)
		}
		return nil, fmt.Errorf("open data set %s: %w%s", source, errors.Join(faults[:min(shown, len(faults))]...), more)
	}
	if set.Len() == 0 {
		return nil, fmt.Errorf("open data set %s: %w", source, errNothing)
	}
	return set, nil
}

// errOrphan marks label files without picture.
var errOrphan = errors.New("no picture belongs to this label file")

// parsed is a source's text taken apart.
type parsed struct{ name, layout, place string }

// SourceError says that the text of a source cannot be understood, whatever files there are.
type SourceError struct{ error }

// Unwrap returns the cause.
func (e SourceError) Unwrap() error { return e.error }

// parse takes [NAME=]LAYOUT=PLACE apart.
func parse(source string) (parsed, error) {
	names := LayoutNames()
	first, rest, ok := strings.Cut(source, "=")
	if !ok || first == "" || rest == "" {
		return parsed{}, SourceError{errors.New("write LAYOUT=DIR or LAYOUT=DIR:SPLIT, as in camvid=camvid:day_train; layouts are " + strings.Join(names, ", "))}
	}
	if second, place, ok := strings.Cut(rest, "="); ok && place != "" && slices.Contains(names, second) {
		return parsed{first, second, place}, nil
	}
	if !slices.Contains(names, first) {
		hint := "choose " + strings.Join(names, ", ")
		if near := nearest.Word(first, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		return parsed{}, SourceError{fmt.Errorf("unknown layout %q; %s", first, hint)}
	}
	return parsed{"", first, rest}, nil
}

// open returns the set and everything that is wrong with its files' names.
func open(source string) (*Set, []error, error) {
	p, err := parse(source)
	if err != nil {
		return nil, nil, err
	}
	var set *Set
	var faults []error
	switch p.layout {
	case scenesLayout:
		if set, err = openScenes(p.place); err != nil {
			err = SourceError{err}
		}
	case folderLayout:
		set, faults, err = openFolder(p.place)
	default:
		all := layouts()
		l := all[slices.IndexFunc(all, func(l layout) bool { return l.name == p.layout })]
		dir, split := splitOff(p.place)
		set, faults, err = l.open(dir, split)
	}
	if err != nil {
		return nil, nil, err
	}
	if p.name != "" {
		set.Name = p.name
	}
	return set, faults, nil
}

// splitOff takes DIR:SPLIT apart. A path that exists as a whole has no split.
func splitOff(place string) (dir, split string) {
	if i := strings.LastIndexByte(place, ':'); i > 0 {
		if _, err := os.Stat(place); err != nil {
			return place[:i], place[i+1:]
		}
	}
	return place, ""
}

// open finds the pictures and labels of one or several splits.
func (l *layout) open(dir, split string) (*Set, []error, error) {
	if !isDir(dir) {
		if _, err := os.Stat(dir); err != nil {
			return nil, nil, fileFault(dir, err)
		}
		return nil, nil, fault(dir, "it is no folder")
	}
	set := &Set{Classes: l.classes()}
	splits := strings.Split(split, "+")
	var faults []error
	for i, part := range splits {
		if part != "" && !isName(part) || part == "" && len(splits) > 1 {
			return nil, nil, SourceError{fmt.Errorf("split %q is no plain name", part)}
		}
		at, err := l.locate(dir, part)
		if err != nil {
			return nil, nil, err
		}
		splits[i] = at.split
		found, err := at.find(dir)
		if err != nil {
			return nil, nil, err
		}
		faults = append(faults, found.faults...)
		for _, s := range found.samples {
			if len(splits) > 1 {
				s.Name = at.split + "/" + s.Name
			}
			set.samples = append(set.samples, s)
		}
		if at.noLabels != nil && !set.unlabelled {
			set.unlabelled, set.NoLabels = true, at.noLabels
			if at.labelsNamed {
				faults = append(faults, at.noLabels)
			}
		}
	}
	set.Name = setName(dir, strings.Join(splits, "+"))
	set.read = l.reader()
	if l.sizesDiffer {
		set.skipSizes()
	}
	if len(set.samples) == 0 && len(faults) == 0 {
		return nil, nil, &FileError{dir, errNothing}
	}
	return set, faults, nil
}

// setName is the folder's own name and the split.
func setName(dir, split string) string {
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	name := filepath.Base(dir)
	if split != "" {
		name += ":" + split
	}
	return name
}

// isName tells whether text can be the name of a split: it must not lead into other folders.
func isName(text string) bool {
	return filepath.IsLocal(text) && !strings.ContainsAny(text, `/\`) && text != "."
}

// reader reads files as the layout has them.
func (l *layout) reader() reader {
	return func(s Sample, pixels bool) (*Picture, error) {
		p, err := readImage(s.Image, pixels)
		if err != nil || s.Label == "" {
			return p, err
		}
		ids, w, h, err := readLabels(s.Label, l.decode)
		if err != nil {
			return nil, err
		}
		if w != p.Width || h != p.Height {
			return nil, fault(s.Label, "the labels have %d x %d pixels, and the picture %s has %d x %d", w, h, s.Image, p.Width, p.Height)
		}
		if l.table != nil {
			if err := l.table.apply(ids); err != nil {
				return nil, &FileError{s.Label, err}
			}
		}
		p.Labels = ids
		return p, nil
	}
}

// readImage reads a picture without labels, or its size alone.
func readImage(path string, pixels bool) (*Picture, error) {
	if pixels {
		rgb, w, h, err := ReadRGB(path)
		return &Picture{Width: w, Height: h, RGB: rgb}, err
	}
	size, err := sizeOf(path)
	if err != nil {
		return nil, fileFault(path, err)
	}
	return &Picture{Width: size.X, Height: size.Y}, nil
}

// skipSizes leaves out the pairs whose headers tell of different sizes. Faults of files are
// left to reading.
func (s *Set) skipSizes() {
	s.samples = slices.DeleteFunc(s.samples, func(sample Sample) bool {
		if sample.Label == "" {
			return false
		}
		image, err := sizeOf(sample.Image)
		label, err2 := sizeOf(sample.Label)
		if err != nil || err2 != nil || image == label {
			return false
		}
		s.Skipped = append(s.Skipped, fault(sample.Label, "skipped: the labels have %d x %d pixels, and the picture %s has %d x %d",
			label.X, label.Y, sample.Image, image.X, image.Y))
		return true
	})
}
