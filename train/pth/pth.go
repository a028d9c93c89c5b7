// Package pth reads the files that torch.save writes, in Go alone and without
// running what they contain: the zip container of PyTorch 1.6 and later and the
// format before it. It is made for state dicts and for training checkpoints that
// hold one beside optimiser state and a few numbers.
//
// A checkpoint is a Python pickle, a program for a small stack machine that may
// name any function to be called. The machine here (Python's Lib/pickle.py and
// Lib/pickletools.py describe it) knows the few functions that rebuild tensors,
// dicts and numpy numbers; every other call becomes an opaque value. General
// pickle libraries were not used because their memory is not bounded by the file:
// gopickle for example prints the whole argument list into its error when a call
// is refused, so that one long string, referred to many times, fills any memory.
//
// Memory: Open allocates at most twice the file's size and 1 MiB, garbage
// included, and never holds more than 64 MiB, whatever the file says. The bytes of
// tensors are read only when asked for, one tensor at a time, and converted on the
// way. Together the tensors are never larger than the file, and no result is
// larger than twice the file.
package pth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// File is an open checkpoint. It must not be used by several goroutines at once.
type File struct {
	path   string
	closer io.Closer
	source io.ReaderAt
	size   int64 // bytes

	tensors []Tensor
	named   map[string]*tensor
	meta    map[string]any

	textBytes   int64 // of names and meta
	entries     int64 // of the state dict, nested ones included
	tensorBytes int64
}

// Tensor describes one tensor of the state dict.
type Tensor struct {
	// Name is the key in the state dict, without the prefix "module." of
	// DistributedDataParallel when all keys have it. The keys of nested dicts are
	// joined by dots.
	Name string
	// DType is torch's name: float32, float16, bfloat16, int64, bool …
	DType string
	// Shape is outermost dimension first, empty for a scalar.
	Shape []int
}

// Open reads the description of all tensors and leaves their data in the file.
// The state dict is the dict under the key state_dict, model, model_state_dict or
// net, else the file's outermost dict. Optimiser state is passed over. Errors say
// what is wrong with the file and what to do about it.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open checkpoint %s: it is not a file; name the .pth file itself", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	f, err := read(path, file, info.Size())
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.closer = file
	return f, nil
}

func read(path string, source io.ReaderAt, size int64) (*File, error) {
	f := &File{path: path, source: source, size: size, named: map[string]*tensor{}, meta: map[string]any{}}
	root, err := f.unpickle()
	if err == nil {
		err = f.collect(root)
	}
	if err != nil {
		return nil, fmt.Errorf("open checkpoint %s: %w", path, err)
	}
	return f, nil
}

// Close closes the file. Slices returned before stay valid.
func (f *File) Close() error { return f.closer.Close() }

// Tensors lists the state dict in the file's order. The caller must not change it.
func (f *File) Tensors() []Tensor { return f.tensors }

// Meta holds what lies beside the state dict under text keys and is a number,
// text or bool: epoch, accuracy, command line. Values are int64, float64 (numpy's
// numbers included), string, bool or nil. Text of more than 64 KiB is left out.
func (f *File) Meta() map[string]any { return f.meta }

// unpickle tells the formats apart by the file's first bytes and returns the
// outermost object, whose storages know where their data lies.
func (f *File) unpickle() (any, error) {
	head := make([]byte, min(f.size, 512))
	if n, err := f.source.ReadAt(head, 0); n < len(head) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return f.unpickleZip()
	case bytes.HasPrefix(head, []byte{0x80}):
		return f.unpickleLegacy()
	}
	return nil, foreign(head)
}

// foreign explains a file that torch.save did not write.
func foreign(head []byte) error {
	text := strings.ToLower(strings.TrimSpace(string(head)))
	switch {
	case len(head) == 0:
		return errors.New("the file is empty; download or copy it again")
	case strings.HasPrefix(text, "<"):
		return errors.New("it is a web page, not a checkpoint: the download needed a confirmation or a login; " +
			"download the file itself")
	case strings.HasPrefix(text, "version https://git-lfs"):
		return errors.New("it is a Git LFS pointer, not the checkpoint; run \"git lfs pull\" where it was cloned")
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return errors.New("it is a tar archive, the format of PyTorch 0.1 or a packed folder; " +
			"unpack it, or load it with PyTorch and save its state_dict with torch.save")
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return errors.New("it is compressed with gzip; run gunzip on it first")
	}
	return errors.New("it is not a PyTorch checkpoint; name a file written by torch.save")
}

func (f *File) lookup(name string) (*tensor, error) {
	if t := f.named[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("checkpoint %s has no tensor %s", f.path, shorten(name))
}

// shorten keeps text from a file printable and short.
func shorten(text string) string {
	if len(text) > 120 {
		text = text[:120] + "…"
	}
	return fmt.Sprintf("%q", text)
}

// stateDictKeys are what training programs call the state dict, in the order in
// which they are looked for.
var stateDictKeys = []string{"state_dict", "model", "model_state_dict", "net"}

// collect finds the state dict in the outermost object.
func (f *File) collect(root any) error {
	top, ok := root.(*dict)
	if !ok {
		return notStateDict(root)
	}
	weights := top
	for _, key := range stateDictKeys {
		switch value := top.get(key).(type) {
		case *dict:
			weights = value
		case *opaque:
			return notStateDict(value)
		default:
			continue
		}
		break
	}
	if err := f.collectMeta(top); err != nil {
		return err
	}
	if err := f.collectTensors(weights, "", 0); err != nil {
		return err
	}
	if len(f.tensors) == 0 {
		return errors.New("it holds no tensors by name; save the model's state_dict with torch.save")
	}
	f.stripPrefix("module.")
	return nil
}

func notStateDict(v any) error {
	kind := "it holds no dict"
	if o, ok := v.(*opaque); ok {
		kind = "it holds an object of class " + o.class.String() + ", not a dict of tensors"
	}
	return errors.New(kind + "; load it with PyTorch and save model.state_dict() with torch.save")
}

const (
	// maxTextBytes bounds names and meta together, which can be longer than the
	// pickle when it refers to one text many times.
	maxTextBytes     = 4 << 20
	maxMetaTextBytes = 64 << 10
	maxDepth         = 16 // of dicts in the state dict
	// maxEntries bounds the state dict: dicts that contain another one twice
	// would grow as powers of two.
	maxEntries = 1 << 15
)

// scaled is a bound that grows with the file: least and a share of its size, up to most.
func scaled(fileBytes, least, share, most int64) int64 { return min(least+fileBytes/share, most) }

func (f *File) keepText(text string) (string, error) {
	f.textBytes += int64(len(text))
	if limit := scaled(f.size, maxMetaTextBytes, 8, maxTextBytes); f.textBytes > limit {
		return "", fmt.Errorf("its names have more than %d KiB together: %s", limit>>10, damaged)
	}
	return strings.Clone(text), nil // the pickle itself can be dropped
}

func (f *File) collectMeta(d *dict) error {
	for _, e := range d.entries {
		name, ok := e.key.(string)
		if !ok {
			continue
		}
		value := e.value
		switch text := value.(type) {
		case nil, bool, int64, float64:
		case string:
			if len(text) > maxMetaTextBytes {
				continue
			}
			kept, err := f.keepText(text)
			if err != nil {
				return err
			}
			value = kept
		default:
			continue
		}
		name, err := f.keepText(name)
		if err != nil {
			return err
		}
		f.meta[name] = value
	}
	return nil
}

// collectTensors adds the tensors of d, whose keys follow prefix.
func (f *File) collectTensors(d *dict, prefix string, depth int) error {
	if depth == maxDepth {
		return fmt.Errorf("its dicts are nested more than %d deep: %s", maxDepth, damaged)
	}
	for _, e := range d.entries {
		f.entries++
		if limit := scaled(f.size, 512, 2048, maxEntries); f.entries > limit {
			return fmt.Errorf("its state dict has more than %d entries, too many for its size: %s", limit, damaged)
		}
		key, ok := e.key.(string)
		if !ok {
			continue
		}
		var err error
		switch value := e.value.(type) {
		case *dict:
			if key, err = f.keepText(prefix + key + "."); err == nil {
				err = f.collectTensors(value, key, depth+1)
			}
		case *tensor:
			if key, err = f.keepText(prefix + key); err == nil {
				err = f.addTensor(key, value)
			}
		case *opaque:
			// Passed over silently, a quantised or sparse weight would be missed.
			if strings.HasPrefix(value.class.module, "torch._") {
				err = fmt.Errorf("%s is made by %s, so it is not a plain tensor; convert it with PyTorch and save it again",
					shorten(prefix+key), value.class)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *File) addTensor(name string, t *tensor) error {
	if f.named[name] != nil {
		return fmt.Errorf("tensor %s is there twice: %s", shorten(name), damaged)
	}
	if err := t.resolve(f.size); err != nil {
		return fmt.Errorf("tensor %s: %w", shorten(name), err)
	}
	if f.tensorBytes += t.numel * int64(t.storage.dtype.size); f.tensorBytes > f.size {
		return fmt.Errorf("up to tensor %s the file's tensors have %d bytes, more than the file with %d: "+
			"several share one storage; save clones of them", shorten(name), f.tensorBytes, f.size)
	}
	f.named[name] = t
	f.tensors = append(f.tensors, Tensor{Name: name, DType: t.storage.dtype.name, Shape: t.shape})
	return nil
}

// stripPrefix removes what every name begins with.
func (f *File) stripPrefix(prefix string) {
	if slices.ContainsFunc(f.tensors, func(t Tensor) bool { return !strings.HasPrefix(t.Name, prefix) }) {
		return
	}
	named := make(map[string]*tensor, len(f.named))
	for i := range f.tensors {
		name := f.tensors[i].Name
		f.tensors[i].Name = strings.TrimPrefix(name, prefix)
		named[f.tensors[i].Name] = f.named[name]
	}
	f.named = named
}
