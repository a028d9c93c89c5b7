package adapt

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
)

// Folder returns the JPEG and PNG files in dir and its subfolders, by their names' endings, in
// the order of their paths. Hidden files and folders are left out.
func Folder(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != dir && strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
			return nil
		}
		if slices.Contains([]string{".jpg", ".jpeg", ".png"}, strings.ToLower(filepath.Ext(path))) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list pictures: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("list pictures: %s has no files that end in .jpg, .jpeg or .png", dir)
	}
	return files, nil
}

// Spread returns at most limit of the files, evenly spread; all for a limit of 0.
func Spread(files []string, limit int) []string {
	n := len(files)
	if limit == 0 || limit >= n {
		return files
	}
	chosen := make([]string, limit)
	for i := range chosen {
		chosen[i] = files[i*n/limit]
	}
	return chosen
}

// Files are pictures to be read.
type Files struct {
	Paths []string
	// MaxWidth, in pixels, is the width to which wider pictures are shrunk; 0 is no limit.
	MaxWidth int
	// SkipUnreadable passes files over that cannot be read; otherwise they are an error that
	// names all of them.
	SkipUnreadable bool
	// Skipped are the faults of the files that the last reading passed over.
	Skipped []error
}

// All reads the pictures one after the other.
func (f *Files) All() iter.Seq2[*data.Picture, error] {
	return func(yield func(*data.Picture, error) bool) {
		f.Skipped = nil
		for _, path := range f.Paths {
			p, err := f.read(path)
			switch {
			case err != nil:
				f.Skipped = append(f.Skipped, err)
			case f.SkipUnreadable || f.Skipped == nil: // with an error, only more errors are looked for
				if !yield(p, nil) {
					return
				}
			}
		}
		if n := len(f.Skipped); n > 0 && (!f.SkipUnreadable || n == len(f.Paths)) {
			yield(nil, f.unreadable())
		}
	}
}

func (f *Files) read(path string) (*data.Picture, error) {
	rgb, width, height, err := data.ReadRGB(path)
	if err != nil {
		return nil, err
	}
	p, err := evaluate.Shrink(&data.Picture{Width: width, Height: height, RGB: rgb}, f.MaxWidth)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (f *Files) unreadable() error {
	const shown = 10
	n := len(f.Skipped)
	err := errors.Join(f.Skipped[:min(n, shown)]...)
	if n > shown {
		err = fmt.Errorf("%w\nand %d more", err, n-shown)
	}
	return fmt.Errorf("%d of %d pictures cannot be read:\n%w", n, len(f.Paths), err)
}
