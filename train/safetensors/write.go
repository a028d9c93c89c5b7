package safetensors

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
)

// Write replaces the file at path by one with these arrays. The old file stays as it
// was until the new one is complete on the disk. The same arrays always give the same
// bytes: they are ordered by dtype, then by name, as the reference implementation does.
func Write(path string, tensors []Tensor) error {
	head, ordered, err := makeHeader(tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return writeAll(w, head, ordered) })
}

// makeHeader returns the file's beginning up to the data, and the data's order.
func makeHeader(tensors []Tensor) ([]byte, []Tensor, error) {
	ordered := slices.SortedFunc(slices.Values(tensors), func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(rank(a.DType), rank(b.DType)), cmp.Compare(a.Name, b.Name))
	})
	text := bytes.NewBuffer(make([]byte, 8)) // room for the length
	comma := byte('{')
	add := func(key string, value any) error {
		for i, v := range []any{key, value} {
			text.WriteByte([]byte{comma, ':'}[i])
			encoder := json.NewEncoder(text)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(v); err != nil {
				return err
			}
			text.Truncate(text.Len() - 1) // its line end
		}
		comma = ','
		return nil
	}
	names, begin := map[string]bool{metadataKey: true}, int64(0)
	for _, t := range ordered {
		if names[t.Name] || !utf8.ValidString(t.Name) {
			return nil, nil, fmt.Errorf("the name %q is used twice, reserved or not UTF-8", t.Name)
		}
		names[t.Name] = true
		size, err := t.arrayBytes(math.MaxInt64)
		if err != nil {
			return nil, nil, err
		}
		if size != int64(t.length)*dtypes[rank(t.DType)].bytes {
			return nil, nil, fmt.Errorf("tensor %q of shape %v has %d elements", t.Name, t.Shape, t.length)
		}
		shape := append([]int{}, t.Shape...) // null would not be a shape
		if err := add(t.Name, header{t.DType, shape, []int64{begin, begin + size}}); err != nil {
			return nil, nil, err
		}
		begin += size
	}
	if len(ordered) == 0 {
		text.WriteByte('{')
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	length := text.Len() - 8
	if length > maxHeaderBytes {
		return nil, nil, fmt.Errorf("names and shapes take %d bytes, more than %d", length, maxHeaderBytes)
	}
	binary.LittleEndian.PutUint64(text.Bytes(), uint64(length))
	return text.Bytes(), ordered, nil
}

func writeAll(w io.Writer, head []byte, ordered []Tensor) error {
	buffered := bufio.NewWriterSize(w, chunkBytes)
	if _, err := buffered.Write(head); err != nil {
		return err
	}
	for _, t := range ordered {
		if err := t.write(buffered); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func (t Tensor) write(w io.Writer) error {
	switch data := t.data.(type) {
	case []float32:
		return writeChunks(w, data)
	case []float64:
		return writeChunks(w, data)
	case []int32:
		return writeChunks(w, data)
	case []int64:
		return writeChunks(w, data)
	case []uint8:
		return writeChunks(w, data)
	case []bool:
		return writeChunks(w, data)
	}
	return fmt.Errorf("tensor %q was not made by New", t.Name)
}

// chunkBytes is how much is converted at a time, so that an array is not held in
// memory a second time.
const chunkBytes = 64 << 10

func writeChunks[T Element](w io.Writer, data []T) error {
	for chunk := range slices.Chunk(data, chunkBytes/8) {
		if err := binary.Write(w, binary.LittleEndian, chunk); err != nil {
			return err
		}
	}
	return nil
}
