package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// File is an open file of arrays. Any number of goroutines may Read from it.
type File struct {
	path   string
	closer io.Closer
	source io.ReaderAt
	infos  []Info // in the file's order
	places map[string]place
}

// place is where an array's bytes are, counted from the file's beginning.
type place struct {
	info       Info
	start, end int64
}

// Open reads the header and checks that the arrays fill the rest of the file
// without gap or overlap. The arrays themselves are read by Read. Text that other
// programs put beside the arrays is passed over.
func Open(path string) (*File, error) {
	source, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open tensors: %w", err)
	}
	f := &File{path: path, closer: source, source: source}
	info, err := source.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err == nil {
		err = f.readHeader(info.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open tensors %s: %w", path, err), source.Close())
	}
	return f, nil
}

// Close closes the file. Slices read before stay valid.
func (f *File) Close() error { return f.closer.Close() }

// Tensors lists the arrays in the file's order. The caller must not change it.
func (f *File) Tensors() []Info { return f.infos }

// Read returns an array in row-major order. T must be the array's type in the file.
func Read[T Element](f *File, name string) ([]T, error) {
	p, ok := f.places[name]
	if !ok {
		return nil, fmt.Errorf("%s has no tensor %q", f.path, name)
	}
	if want := dtypeOf[T](); p.info.DType != want {
		return nil, fmt.Errorf("tensor %q of %s is %s, not %s", name, f.path, p.info.DType, want)
	}
	size := dtypes[rank(p.info.DType)].bytes
	values := make([]T, (p.end-p.start)/size)
	raw := make([]byte, min(chunkBytes, p.end-p.start))
	r := io.NewSectionReader(f.source, p.start, p.end-p.start)
	for chunk := range slices.Chunk(values, int(chunkBytes/size)) {
		raw := raw[:int64(len(chunk))*size]
		if _, err := io.ReadFull(r, raw); err != nil {
			return nil, fmt.Errorf("read tensor %q of %s: %w", name, f.path, err)
		}
		if _, err := binary.Decode(raw, binary.LittleEndian, chunk); err != nil {
			return nil, fmt.Errorf("read tensor %q of %s: %w", name, f.path, err)
		}
	}
	return values, nil
}

func (f *File) readHeader(size int64) error {
	var prefix [8]byte
	if n, _ := f.source.ReadAt(prefix[:], 0); n < len(prefix) {
		return fmt.Errorf("it has only %d bytes; it was not written completely", size)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeaderBytes || length > uint64(size-8) {
		return fmt.Errorf("a header of %d bytes in a file of %d: it is cut off, or not a safetensors file", length, size)
	}
	text := make([]byte, length)
	if n, err := f.source.ReadAt(text, 8); n < len(text) {
		return err
	}
	headers, err := parse(text)
	if err != nil {
		return fmt.Errorf("its header: %w", err)
	}
	return f.place(headers, 8+int64(length), size)
}

// parse decodes key by key, since encoding/json would let a second array of the
// same name replace the first.
func parse(text []byte) (map[string]header, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("it is not a JSON object (%v)", err)
	}
	headers := map[string]header{}
	var metadata map[string]string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // a key always is
		if name == metadataKey && metadata == nil {
			if err := d.Decode(&metadata); err != nil {
				return nil, fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		var h header
		if err := d.Decode(&h); err != nil {
			return nil, fmt.Errorf("tensor %.80q: %w", name, err)
		}
		if _, double := headers[name]; double || name == metadataKey {
			return nil, fmt.Errorf("%.80q is there twice", name)
		}
		headers[name] = h
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return headers, nil
}

// place puts the arrays into their order in the data, which begins at start.
func (f *File) place(headers map[string]header, start, size int64) error {
	f.places = make(map[string]place, len(headers))
	for name, h := range headers {
		info := Info{name, h.DType, h.Shape}
		bytes, err := info.arrayBytes(size - start)
		if err != nil {
			return err
		}
		if h.Shape == nil || len(h.Offsets) != 2 || h.Offsets[0] < 0 || h.Offsets[1] > size-start || h.Offsets[1]-h.Offsets[0] != bytes {
			return fmt.Errorf("tensor %.80q: its data_offsets do not fit its shape or lie outside the %d bytes of data", name, size-start)
		}
		f.places[name] = place{info, start + h.Offsets[0], start + h.Offsets[1]}
		f.infos = append(f.infos, info)
	}
	slices.SortFunc(f.infos, func(a, b Info) int {
		p, q := f.places[a.Name], f.places[b.Name]
		return cmp.Or(cmp.Compare(p.start, q.start), cmp.Compare(p.end, q.end), cmp.Compare(a.Name, b.Name))
	})
	end := start
	for _, info := range f.infos {
		p := f.places[info.Name]
		if p.start != end {
			return fmt.Errorf("tensor %.80q begins at byte %d, but what is before it ends at %d", info.Name, p.start, end)
		}
		end = p.end
	}
	if end != size {
		return fmt.Errorf("its tensors end at byte %d of %d", end, size)
	}
	return nil
}
