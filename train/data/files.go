package data

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// found is what a form's folders hold.
type found struct {
	samples []Sample // in the order of the list, or of their names
	faults  []error
}

// find pairs pictures and labels: all, or those that the list names.
func (f located) find(dir string) (found, error) {
	images, faults, err := f.stems(filepath.Join(dir, f.images), f.imageEnds)
	if err != nil {
		return found{}, err
	}
	annotations := map[string]string{}
	if f.labels != "" {
		var twice []error
		if annotations, twice, err = f.stems(filepath.Join(dir, f.labels), f.labelEnds); err != nil {
			return found{}, err
		}
		faults = append(faults, twice...)
	}
	var all found
	if f.list == "" {
		all = f.pair(images, annotations)
	} else {
		names, err := readNames(f.list)
		if err != nil {
			return found{}, err
		}
		all = f.choose(names, filepath.Join(dir, f.images), images, annotations)
	}
	all.faults = append(all.faults, faults...)
	return all, nil
}

// pair takes all pictures.
func (f form) pair(images, annotations map[string]string) found {
	var all found
	for name, path := range images {
		s := Sample{Name: name, Image: path, Label: annotations[name]}
		if s.Label == "" && f.labels != "" {
			all.faults = append(all.faults, f.missingLabel(path))
			continue
		}
		all.samples = append(all.samples, s)
	}
	for name, path := range annotations {
		if images[name] == "" {
			all.faults = append(all.faults, &FileError{path, errOrphan})
		}
	}
	slices.SortFunc(all.samples, func(a, b Sample) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(all.faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

// choose takes the named pictures.
func (f located) choose(names []listedName, folder string, images, annotations map[string]string) found {
	var chosen found
	for _, listed := range names {
		name := listed.name
		if images[name] == "" { // tolerate names with the picture's ending
			name = strings.TrimSuffix(name, filepath.Ext(name))
		}
		s := Sample{Name: name, Image: images[name], Label: annotations[name]}
		switch {
		case s.Image == "":
			chosen.faults = append(chosen.faults, fault(f.list, "line %d: there is no picture %s in %s", listed.line, listed.name, folder))
		case s.Label == "" && f.labels != "":
			chosen.faults = append(chosen.faults, f.missingLabel(s.Image))
		default:
			chosen.samples = append(chosen.samples, s)
		}
	}
	return chosen
}

func (f form) missingLabel(path string) error {
	return fault(path, "the picture has no label file in %s (its name ending in %s)", f.labels, strings.Join(f.labelEnds, " or "))
}

// stems finds the files in dir and its subfolders that end in one of ends, by their paths
// below dir without the ending. Two files of one name are a fault, and so is a folder that is
// too deep.
func (f form) stems(dir string, ends []string) (files map[string]string, faults []error, err error) {
	files = map[string]string{}
	deep, err := walk(dir, "", 0, func(name string) {
		if f.notLabel != "" && strings.HasSuffix(name, f.notLabel) {
			return
		}
		for _, end := range ends {
			stem, ok := strings.CutSuffix(name, end)
			if !ok {
				continue
			}
			path := filepath.Join(dir, name)
			if other, twice := files[stem]; twice {
				faults = append(faults, fault(path, "it has the same name as %s; which of them is meant?", other))
			} else {
				files[stem] = path
			}
			return
		}
	})
	if deep != "" {
		faults = append(faults, fault(filepath.Join(dir, deep), "the folder lies more than %d folders below %s; move it up, or remove the link that leads in circles", deepest, dir))
	}
	return files, faults, err
}

// deepest is how many folders below that of pictures or labels are looked into: links may lead
// in circles.
const deepest = 6

// walk calls visit with the files below root, hidden ones left out, and returns the first folder
// that is too deep to look into. It follows links, which data sets are often made of.
func walk(root, below string, depth int, visit func(name string)) (deep string, err error) {
	entries, err := os.ReadDir(filepath.Join(root, below))
	if err != nil {
		return "", fileFault(filepath.Join(root, below), err)
	}
	for _, e := range entries {
		name := filepath.Join(below, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		folder := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			folder = isDir(filepath.Join(root, name))
		}
		switch {
		case !folder:
			visit(filepath.ToSlash(name))
		case depth == deepest:
			deep = cmp.Or(deep, name)
		default:
			below, err := walk(root, name, depth+1, visit)
			if err != nil {
				return "", err
			}
			deep = cmp.Or(deep, below)
		}
	}
	return deep, nil
}

// listedName is a name and its line in the list.
type listedName struct {
	name string
	line int
}

// readNames reads a list of names, one a line. Empty lines and those that begin with # are
// passed over.
func readNames(path string) ([]listedName, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault(path, "there is no such list of pictures%s", otherLists(filepath.Dir(path)))
	}
	if err != nil {
		return nil, fileFault(path, err)
	}
	defer f.Close()
	names, err := scanNames(f)
	if err != nil {
		return nil, &FileError{path, err}
	}
	return names, nil
}

func scanNames(r io.Reader) ([]listedName, error) {
	var names []listedName
	lines := map[string]int{}
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		name := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "\ufeff"))
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
			return nil, fmt.Errorf("line %d: the name %q leads out of the folder", line, name)
		}
		if first, twice := lines[name]; twice {
			return nil, fmt.Errorf("line %d: %s is listed in line %d already", line, name, first)
		}
		lines[name] = line
		names = append(names, listedName{name, line})
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("the list is empty")
	}
	return names, nil
}

// otherLists names the lists that are there.
func otherLists(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.txt"))
	if len(files) == 0 {
		return ""
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".txt")
	}
	return "; there are " + strings.Join(files, ", ")
}

// sizeOf reads the size of a picture from its header.
func sizeOf(path string) (image.Point, error) {
	f, err := os.Open(path)
	if err != nil {
		return image.Point{}, err
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	return image.Pt(c.Width, c.Height), err
}
