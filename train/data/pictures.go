package data

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// OpenUnlabelled opens pictures whose labels, if there are any, are not read: those of a folder,
// as [OpenPictures] finds them, or of a source, see [Open]. Absolute is a text that names the
// same pictures from every folder.
func OpenUnlabelled(text string) (set *Set, absolute string, err error) {
	if _, err := os.Stat(text); err == nil || !strings.Contains(text, "=") {
		if set, err = OpenPictures(text); err != nil {
			return nil, "", err
		}
		absolute, err = filepath.Abs(text)
		return set, absolute, err
	}
	if set, err = openWithout(text, errOrphan, errNamedLabels); err != nil {
		return nil, "", err
	}
	absolute, err = Absolute(text)
	return set.Unlabelled(), absolute, err
}

// OpenPictures finds the JPEG and PNG files in dir and its subfolders, by their names' endings
// and in the order of their paths. Hidden files and folders are left out. The set has no
// labels and no classes; its samples' names are paths in dir.
func OpenPictures(dir string) (*Set, error) {
	set := &Set{Name: setName(dir, ""), unlabelled: true, read: (&layout{}).reader()}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != dir && strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
			return nil
		}
		if !slices.Contains(anyPicture, strings.ToLower(filepath.Ext(path))) {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		set.samples = append(set.samples, Sample{Name: filepath.ToSlash(name), Image: path})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list pictures: %w", err)
	}
	if len(set.samples) == 0 {
		return nil, fmt.Errorf("list pictures: %s has no files that end in .jpg, .jpeg or .png", dir)
	}
	return set, nil
}
