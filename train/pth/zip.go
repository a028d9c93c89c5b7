package pth

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
)

// maxDirectoryBytes bounds the zip's directory, which costs about seven times its
// size in memory: 10,000 tensors, and as scaled 300 in a file of 1 MB.
const maxDirectoryBytes = 1 << 20

// archive is the zip container: NAME/data.pkl, the pickle, and one entry
// NAME/data/KEY for each storage, all stored without compression.
type archive struct {
	size    int64 // bytes
	entries map[string]*zip.File
	folder  string // NAME
	located uint64 // bytes of storages
}

func (f *File) unpickleZip() (any, error) {
	a, err := openArchive(f.source, f.size)
	if err != nil {
		return nil, err
	}
	text, err := a.text("data.pkl", maxPickleBytes)
	if err != nil {
		return nil, err
	}
	m := newMachine(text, f.size)
	root, err := m.load()
	if err != nil {
		return nil, err
	}
	for _, s := range m.storages {
		s.locate = func() (int64, error) { return a.locate(s) }
	}
	return root, nil
}

func openArchive(source io.ReaderAt, size int64) (*archive, error) {
	limited := &limitedReaderAt{source, size, scaled(size, 24<<10, 64, maxDirectoryBytes)}
	r, err := zip.NewReader(limited, size)
	if err != nil {
		return nil, fmt.Errorf("its list of contents, at the end, cannot be read (%w): "+
			"the download was cut off or damaged; download it again", err)
	}
	limited.left = math.MaxInt64 // what is read later is checked against size
	a := &archive{size: size, entries: make(map[string]*zip.File, len(r.File))}
	for _, entry := range r.File {
		if a.entries[entry.Name] != nil {
			return nil, fmt.Errorf("entry %s is there twice: %s", shorten(entry.Name), damaged)
		}
		a.entries[entry.Name] = entry
		if path.Base(entry.Name) == "data.pkl" && strings.Count(entry.Name, "/") == 1 {
			if a.folder != "" {
				return nil, errors.New("the zip archive holds two checkpoints; unpack it and name one of them")
			}
			a.folder = path.Dir(entry.Name)
		}
	}
	if a.folder == "" {
		return nil, errors.New("it is a zip archive without a checkpoint's data.pkl; " +
			"if it holds a .pth file, unpack it first")
	}
	if a.entries[a.folder+"/constants.pkl"] != nil {
		return nil, errors.New("it is a TorchScript archive, a program; " +
			"load it with torch.jit.load and save its state_dict() with torch.save")
	}
	return a, a.checkByteOrder()
}

func (a *archive) checkByteOrder() error {
	if a.entries[a.folder+"/byteorder"] == nil {
		return nil // before PyTorch 2.1
	}
	order, err := a.text("byteorder", 16)
	if err == nil && order != "little" {
		err = fmt.Errorf("its byte order is %q; save it again on a little-endian machine", order)
	}
	return err
}

// open returns an entry's bytes, checksum verified at their end, and their start
// in the file.
func (a *archive) open(name string) (*zip.File, io.ReadCloser, int64, error) {
	entry := a.entries[a.folder+"/"+name]
	if entry == nil {
		return nil, nil, 0, fmt.Errorf("entry %s is missing: %s", shorten(name), damaged)
	}
	if entry.Method != zip.Store || entry.Flags&1 != 0 {
		return nil, nil, 0, fmt.Errorf("entry %s is compressed or encrypted, which torch.save never does; "+
			"get the original file, or load it with PyTorch and save it again", shorten(name))
	}
	start, err := entry.DataOffset()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("entry %s: %w: %s", shorten(name), err, damaged)
	}
	if entry.CompressedSize64 != entry.UncompressedSize64 || start < 0 || start > a.size ||
		entry.UncompressedSize64 > uint64(a.size-start) {
		return nil, nil, 0, fmt.Errorf("entry %s is longer than the file: %s", shorten(name), damaged)
	}
	r, err := entry.Open()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("entry %s: %w: %s", shorten(name), err, damaged)
	}
	return entry, r, start, nil
}

// text returns a whole entry of at most limit bytes.
func (a *archive) text(name string, limit uint64) (string, error) {
	entry, r, _, err := a.open(name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if entry.UncompressedSize64 > limit {
		return "", fmt.Errorf("entry %s has %d bytes, more than the %d of any network; save the state_dict alone with torch.save",
			shorten(name), entry.UncompressedSize64, limit)
	}
	var text strings.Builder
	text.Grow(int(entry.UncompressedSize64))
	if _, err := io.Copy(&text, r); err != nil {
		return "", fmt.Errorf("entry %s: %w: %s", shorten(name), err, damaged)
	}
	return text.String(), nil
}

// locate finds a storage's entry and verifies its checksum, the first time.
func (a *archive) locate(s *storage) (int64, error) {
	entry, r, start, err := a.open("data/" + s.key)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if want := uint64(s.elements) * uint64(s.dtype.size); entry.UncompressedSize64 != want {
		return 0, fmt.Errorf("its data has %d bytes, not %d: %s", entry.UncompressedSize64, want, damaged)
	}
	if a.located += entry.UncompressedSize64; a.located > uint64(a.size) {
		return 0, errors.New("the data of several entries overlaps: " + damaged)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return 0, fmt.Errorf("its data: %w: %s", err, damaged)
	}
	s.locate = func() (int64, error) { return start, nil }
	return start, nil
}

// limitedReaderAt fails after a number of bytes. The end of the file does not count:
// the directory's place is looked for there.
type limitedReaderAt struct {
	source     io.ReaderAt
	size, left int64
}

func (l *limitedReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) < l.size {
		l.left -= int64(len(p))
	}
	if l.left < 0 {
		return 0, errors.New("it is longer than that of any network with so many bytes of weights")
	}
	return l.source.ReadAt(p, offset)
}
