package pth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// legacyMagic is the integer 0x1950a86a20f9469cfc6c.
const legacyMagic = longValue("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

const legacyProtocol = int64(1001)

// unpickleLegacy reads torch/serialization.py's _legacy_save: five pickles (magic
// number, version, system, object, keys of the storages) and after them, in the
// order of the keys, each storage as a count of elements in 8 bytes and its data.
// It has no checksums.
func (f *File) unpickleLegacy() (any, error) {
	var text strings.Builder
	text.Grow(int(min(f.size, maxPickleBytes)))
	if _, err := io.Copy(&text, io.NewSectionReader(f.source, 0, min(f.size, maxPickleBytes))); err != nil {
		return nil, err
	}
	m := newMachine(text.String(), f.size)
	var parts [5]any // as listed above
	for i := range parts {
		var err error
		if parts[i], err = m.load(); err != nil {
			return nil, err
		}
		if i == 0 && parts[i] != legacyMagic {
			return nil, errors.New("it is a Python pickle but not of torch.save; load it with Python and save a dict of tensors with torch.save")
		}
	}
	if parts[1] != legacyProtocol {
		return nil, fmt.Errorf("its format version is not %d; load it with PyTorch and save it again", legacyProtocol)
	}
	if system, ok := parts[2].(*dict); ok && system.get("little_endian") == false {
		return nil, errors.New("its numbers are big-endian; save it again on a little-endian machine")
	}
	keys, ok := parts[4].(*list)
	if !ok {
		return nil, errors.New("it has no list of storages: " + damaged)
	}
	return parts[3], f.locateLegacy(m.storages, keys.items, int64(m.pos))
}

// locateLegacy walks the storages, which begin at position.
func (f *File) locateLegacy(storages map[string]*storage, keys []any, position int64) error {
	for _, s := range storages {
		s.locate = func() (int64, error) { return 0, errors.New("its data is missing: " + damaged) }
	}
	for _, item := range keys {
		key, _ := item.(string)
		s := storages[key]
		if s == nil || s.dtype == nil {
			return fmt.Errorf("storage %s is of an unknown type or used by no tensor: %s", shorten(key), damaged)
		}
		var count [8]byte
		if n, err := f.source.ReadAt(count[:], position); n < len(count) {
			return fmt.Errorf("storage %s is missing (%w): the download was cut off; download it again", shorten(key), err)
		}
		start := position + int64(len(count))
		elements := binary.LittleEndian.Uint64(count[:])
		if elements != uint64(s.elements) {
			return fmt.Errorf("storage %s has %d elements, not %d: %s", shorten(key), elements, s.elements, damaged)
		}
		if elements > uint64(f.size-start)/uint64(s.dtype.size) {
			return fmt.Errorf("storage %s ends after the file: the download was cut off; download it again", shorten(key))
		}
		s.locate = func() (int64, error) { return start, nil }
		position = start + s.elements*int64(s.dtype.size)
	}
	return nil
}
