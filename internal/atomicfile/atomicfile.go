// Package atomicfile writes files that are either as before or complete.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Write replaces the file at path, or makes it, readable for all, by what write produces. The
// content is on the disk before the name points to it, and the name before Write returns.
func Write(path string, write func(io.Writer) error) error {
	if err := Replace(path, write); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(folder.Sync(), folder.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Replace is Write for files of which the newest few may be lost when the power goes: it does
// not wait for the name.
func Replace(path string, write func(io.Writer) error) error {
	part, err := os.CreateTemp(filepath.Dir(path), partPrefix(path)+"*"+partSuffix)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = errors.Join(write(part), part.Chmod(0o644), part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(part.Name()))
	}
	return nil
}

const partSuffix = ".part"

func partPrefix(path string) string { return "." + filepath.Base(path) + "." }

// Sweep removes what writers of the file at path have left that were killed. Nobody may be
// writing it.
func Sweep(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), partPrefix(path)) && strings.HasSuffix(e.Name(), partSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(path), e.Name())))
		}
	}
	return err
}

// Bytes is Write for content that is in memory.
func Bytes(path string, content []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}
