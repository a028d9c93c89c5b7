package pth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// assemble writes pickles opcode by opcode.
type assemble struct{ bytes.Buffer }

func (a *assemble) op(code string) *assemble { a.WriteString(code); return a }

func (a *assemble) text(s string) *assemble {
	return a.op("X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s)
}

func (a *assemble) int(v int64) *assemble {
	return a.op("\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(v))))
}

func (a *assemble) ints(values ...int64) *assemble {
	a.op("(")
	for _, v := range values {
		a.int(v)
	}
	return a.op("t")
}

func (a *assemble) storage(class, key string, elements int64) *assemble {
	return a.op("(").text("storage").op("ctorch\n" + class + "\n").text(key).text("cpu").int(elements).op("tQ")
}

func (a *assemble) tensor(class, key string, elements, offset int64, size, stride []int64) *assemble {
	a.op("ctorch._utils\n_rebuild_tensor_v2\n(").storage(class, key, elements).int(offset)
	return a.ints(size...).ints(stride...).op("\x89ccollections\nOrderedDict\n)RtR")
}

// zipOf stores entries in a zip, as torch does.
func zipOf(t testing.TB, entries map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range entries {
		e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func checkpoint(t testing.TB, pickle string, data int) []byte {
	t.Helper()
	return zipOf(t, map[string][]byte{"m/data.pkl": []byte(pickle), "m/data/0": make([]byte, data)})
}

func readBytes(content []byte) (*File, error) {
	return read("test.pth", bytes.NewReader(content), int64(len(content)))
}

// readAll opens a file and reads every tensor.
func readAll(content []byte) (*File, error) {
	f, err := readBytes(content)
	if err != nil {
		return nil, err
	}
	for _, tensor := range f.Tensors() {
		if _, err := f.Float32s(tensor.Name); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func goldenFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name := range readGolden(t) {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	return files
}

func TestTruncatedAnywhere(t *testing.T) {
	for name, content := range goldenFiles(t) {
		for length := range content {
			if _, err := readAll(content[:length]); err == nil {
				t.Errorf("%s cut to %d of %d bytes: no error", name, length, len(content))
			}
		}
	}
}

// TestFlippedAnywhere changes every byte of the files. The zip container has
// checksums: there a change gives an error or, outside data and descriptions, the
// same tensors. The legacy format has none, there it must only end in order.
func TestFlippedAnywhere(t *testing.T) {
	golden, flips := readGolden(t), []byte{0x01, 0x80, 0xff}
	if testing.Short() {
		flips = flips[:1]
	}
	for name, content := range goldenFiles(t) {
		for i := range content {
			for _, flip := range flips {
				content[i] ^= flip
				f, err := readAll(content)
				content[i] ^= flip
				if err != nil || strings.Contains(name, "legacy") {
					continue
				}
				if difference, err := differs(f, golden[name]); err != nil || difference != "" {
					t.Errorf("%s with byte %d ^ %#x: other tensors without an error: %s %v", name, i, flip, difference, err)
				}
			}
		}
	}
}

// checkRefused wraps pickles into a zip with a storage 0 of 16 bytes and expects
// errors with the given parts.
func checkRefused(t *testing.T, cases map[string]struct{ pickle, want string }) {
	t.Helper()
	for name, c := range cases {
		_, err := readAll(checkpoint(t, c.pickle, 16))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestHostilePickles(t *testing.T) {
	checkRefused(t, map[string]struct{ pickle, want string }{
		"empty":             {"", "announced"},
		"stop at once":      {".", "stack is empty"},
		"no stop":           {"\x80\x02}", "announced"},
		"protocol":          {"\x80\x06}.", "protocol"},
		"unknown opcode":    {"\x80\x02\xff.", "opcode"},
		"text of 4 GiB":     {"\x80\x02X\xff\xff\xff\xff.", "announced"},
		"bytes of 2^64":     {"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "announced"},
		"integer of 4 GiB":  {"\x80\x02\x8b\xff\xff\xff\xff.", "announced"},
		"frame of 2^63":     {"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x80}.", "frame"},
		"unknown memo":      {"\x80\x02h\x07.", "before it is kept"},
		"mark missing":      {"\x80\x02t.", "mark"},
		"pop below mark":    {"\x80\x02}(0.", "stack is empty"},
		"key without value": {"\x80\x02}(Nu.", "no value"},
		"call of a dict":    {"\x80\x02})R.", "no class"},
		"append to dict":    {"\x80\x02}Na.", "no list"},
		"set in list":       {"\x80\x02]NNs.", "no dict"},
		"class without end": {"\x80\x02cos", "no end"},
		"class by number":   {"\x80\x04NN\x93.", "no name"},
		"nested marks":      {"\x80\x02" + strings.Repeat("(", maxOpcodes) + ".", "opcodes"},
		"nested lists":      {"\x80\x02" + strings.Repeat("]", 1000) + strings.Repeat("a", 999) + ".", "no dict"},
		"dict in itself":    {"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", "nested"},
		"list in itself":    {"\x80\x02]q\x00h\x00a.", "no dict"},
		"call with itself":  {"\x80\x02]q\x00h\x00ah\x00h\x00R.", "no class"},
		"command":           {"\x80\x02cos\nsystem\nX\x0e\x00\x00\x00touch executed\x85R.", "os.system"},
		"load from bytes":   {"\x80\x02ctorch.storage\n_load_from_bytes\nC\x01x\x85R.", "_load_from_bytes"},
	})
	if _, err := os.Stat("executed"); err == nil {
		t.Error("a command was executed")
	}
}

// TestRepetition refers to one value many times.
func TestRepetition(t *testing.T) {
	tensors := new(assemble).op("\x80\x02}").tensor("FloatStorage", "0", 4, 0, []int64{4}, []int64{1}).op("q\x000")
	for i := range 400 {
		tensors.text(fmt.Sprint("w", i)).op("h\x00s")
	}
	dicts := new(assemble).op("\x80\x02}q\x00")
	for range 7 { // the one before, under 10 names
		dicts.op("0}(")
		for i := range 10 {
			dicts.text(fmt.Sprint(i)).op("h\x00")
		}
		dicts.op("uq\x00")
	}
	names := new(assemble).op("\x80\x02}").text(strings.Repeat("x", 1<<10)).op("q\x000")
	names.op("}q\x010" + strings.Repeat("h\x00h\x01s", 1000))
	text := new(assemble).op("\x80\x02").text(strings.Repeat("x", 1<<20)).op("q\x000(")
	text.op(strings.Repeat("h\x00", 1000) + "tq\x01h\x01h\x01R")
	pairs := new(assemble).op("\x80\x02](" + strings.Repeat("NN\x86", 1000) + "e\x85q\x000")
	pairs.op(strings.Repeat("ccollections\nOrderedDict\nh\x00R0", 1000))
	checkRefused(t, map[string]struct{ pickle, want string }{
		"storage in 400 tensors":    {tensors.op(".").String(), "share one storage"},
		"dicts in dicts":            {dicts.op(".").String(), "entries"},
		"name of 1 KiB, 1000 times": {names.op(".").String(), "names"},
		"text in refused call":      {text.op(".").String(), "no class"},
		"pairs in OrderedDicts":     {pairs.op(".").String(), "opcodes"},
	})
}

func TestHostileTensors(t *testing.T) {
	tensor := func(class, key string, elements, offset int64, size, stride []int64) string {
		return new(assemble).op("\x80\x02}").text("w").tensor(class, key, elements, offset, size, stride).op("s.").String()
	}
	vector := func(class, key string, elements, offset, size, stride int64) string {
		return tensor(class, key, elements, offset, []int64{size}, []int64{stride})
	}
	two := func(name, class string) string {
		return new(assemble).op("\x80\x02}").text("w").tensor("FloatStorage", "0", 4, 0, nil, nil).op("s").
			text(name).tensor(class, "0", 4, 0, nil, nil).op("s.").String()
	}
	checkRefused(t, map[string]struct{ pickle, want string }{
		"from nothing":          {"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "wrong kind"},
		"reference unknown":     {"\x80\x02NQ.", "unknown kind"},
		"two types":             {two("v", "IntStorage"), "two types"},
		"name twice":            {two("w", "FloatStorage"), "twice"},
		"outside the storage":   {vector("FloatStorage", "0", 4, 1, 4, 1), "outside its storage"},
		"storage larger":        {vector("FloatStorage", "0", 5, 0, 4, 1), "bytes, not"},
		"storage of 2^62":       {vector("FloatStorage", "0", 1<<62, 0, 4, 1), "in a file of"},
		"offset negative":       {vector("FloatStorage", "0", 4, -1, 1, 1), "offset -1"},
		"offset at the end":     {vector("FloatStorage", "0", 4, 4, 1, 1), "offset 4"},
		"size negative":         {vector("FloatStorage", "0", 4, 0, -4, 1), "bad size"},
		"size of 2^62":          {vector("FloatStorage", "0", 4, 0, 1<<62, 0), "bad size"},
		"stride negative":       {vector("FloatStorage", "0", 4, 3, 4, -1), "bad size or stride"},
		"stride of 2^62":        {vector("FloatStorage", "0", 4, 0, 4, 1<<62), "outside its storage"},
		"strides as if wrapped": {vector("FloatStorage", "0", 4, 0, 3, math.MaxInt64), "outside its storage"},
		"expanded":              {vector("FloatStorage", "0", 4, 0, 300, 0), "larger than the file"},
		"product overflows": {tensor("FloatStorage", "0", 4, 0, []int64{300, 300, 300, 300, 300, 300, 300, 300},
			make([]int64, 8)), "larger than the file"},
		"nine dimensions":      {tensor("FloatStorage", "0", 4, 0, make([]int64, 9), make([]int64, 9)), "at most 8"},
		"sizes unlike strides": {tensor("FloatStorage", "0", 4, 0, []int64{1}, nil), "sizes and"},
		"overlapping":          {tensor("FloatStorage", "0", 4, 0, []int64{2, 3}, []int64{1, 1}), "overlap"},
		"complex":              {vector("ComplexFloatStorage", "0", 2, 0, 2, 1), "complex64"},
		"unknown storage":      {vector("QInt8Storage", "0", 16, 0, 16, 1), "QInt8Storage"},
		"path in the key":      {vector("FloatStorage", "../data.pkl", 4, 0, 4, 1), "missing"},
		"key absent":           {vector("FloatStorage", "1", 4, 0, 4, 1), "missing"},
	})
}

func TestHostileArchives(t *testing.T) {
	pickle := new(assemble).op("\x80\x02}").text("w").tensor("FloatStorage", "0", 4, 0, []int64{4}, []int64{1}).op("s.").Bytes()
	compressed := func(name string, size int) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, entry := range []string{"m/data.pkl", "m/data/0"} {
			method, content := zip.Store, pickle
			if entry == name {
				method, content = zip.Deflate, make([]byte, size)
			}
			e, err := w.CreateHeader(&zip.FileHeader{Name: entry, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	crowd := map[string][]byte{}
	for i := range 30000 {
		crowd[fmt.Sprint("m/data/", i)] = nil
	}
	data := make([]byte, 16)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"pickle inflates":  {compressed("m/data.pkl", 64<<20), "compressed"},
		"tensor inflates":  {compressed("m/data/0", 64<<20), "compressed"},
		"no pickle":        {zipOf(t, map[string][]byte{"word/document.xml": data}), "data.pkl"},
		"two checkpoints":  {zipOf(t, map[string][]byte{"a/data.pkl": pickle, "b/data.pkl": pickle}), "two checkpoints"},
		"parent folder":    {zipOf(t, map[string][]byte{"../data.pkl": pickle, "/etc/data/0": data}), "missing"},
		"big-endian":       {zipOf(t, map[string][]byte{"m/data.pkl": pickle, "m/data/0": data, "m/byteorder": []byte("big")}), "byte order is \"big\""},
		"30,000 entries":   {zipOf(t, crowd), "longer than"},
		"pickle of 17 MiB": {zipOf(t, map[string][]byte{"m/data.pkl": make([]byte, 17<<20)}), "state_dict alone"},
	} {
		_, err := readAll(c.content)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestOverlappingEntries has four entries of a directory point to the same data:
// verifying a checksum for each would take ever longer for ever smaller files.
func TestOverlappingEntries(t *testing.T) {
	pickle := new(assemble).op("\x80\x02}")
	files := map[string][]byte{"m/data/0": make([]byte, 4096)}
	for i := range 4 {
		pickle.text(fmt.Sprint("w", i)).tensor("FloatStorage", fmt.Sprint(i), 1024, 0, []int64{8}, []int64{1}).op("s")
		if i > 0 {
			files[fmt.Sprint("m/data/", i)] = nil
		}
	}
	files["m/data.pkl"] = pickle.op(".").Bytes()
	content := zipOf(t, files)
	// record is the part of the directory about an entry: checksum and sizes are
	// at 16, the offset is at 42 and the name at 46.
	record := func(i int) []byte {
		return content[bytes.LastIndex(content, fmt.Append(nil, "m/data/", i))-46:]
	}
	for i := 1; i < 4; i++ {
		copy(record(i)[16:28], record(0)[16:28])
		copy(record(i)[42:46], record(0)[42:46])
	}
	if _, err := readAll(content); err == nil || !strings.Contains(err.Error(), "overlaps") {
		t.Errorf("error %v", err)
	}
}

// TestHostileLegacy changes the numbers that follow the pickles.
func TestHostileLegacy(t *testing.T) {
	content, err := os.ReadFile("testdata/views_legacy.pth")
	if err != nil {
		t.Fatal(err)
	}
	// The file ends with two storages, of 2 and 24 float32, in either order.
	for _, elements := range []byte{2, 24} {
		at := bytes.LastIndex(content, []byte{elements, 0, 0, 0, 0, 0, 0, 0})
		if at < 0 {
			t.Fatalf("no storage of %d elements", elements)
		}
		changed := bytes.Clone(content)
		changed[at+6] = 1
		if _, err := readAll(changed); err == nil || !strings.Contains(err.Error(), "elements, not") {
			t.Errorf("storage of %d elements made larger: %v", elements, err)
		}
	}
	bigEndian := bytes.Replace(content, []byte("little_endianq\x02\x88"), []byte("little_endianq\x02\x89"), 1)
	if _, err := readAll(bigEndian); err == nil || !strings.Contains(err.Error(), "big-endian") {
		t.Errorf("big-endian: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	names, err := filepath.Glob("testdata/*.p*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, false)
		if pickle, found := pickleOf(content); found {
			f.Add(pickle, true)
		}
	}
	// A mutated zip rarely keeps its checksums, so half of the inputs are the
	// pickle of a sound one.
	f.Fuzz(func(t *testing.T, content []byte, isPickle bool) {
		if isPickle {
			content = checkpoint(t, string(content), 32)
		}
		file, err := readBytes(content)
		if err != nil {
			return
		}
		total := 0
		for _, tensor := range file.Tensors() {
			values, err := file.Float32s(tensor.Name)
			if err != nil {
				continue
			}
			want := 1
			for _, size := range tensor.Shape {
				want *= size
			}
			if len(values) != want {
				t.Errorf("%d values in shape %v", len(values), tensor.Shape)
			}
			if tensor.DType == "float32" {
				total += 4 * len(values)
			}
		}
		if total > len(content) {
			t.Errorf("%d bytes of float32 in a file of %d", total, len(content))
		}
	})
}

// pickleOf returns the pickle of a zip checkpoint.
func pickleOf(content []byte) (pickle []byte, found bool) {
	a, err := openArchive(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, false
	}
	text, err := a.text("data.pkl", maxPickleBytes)
	return []byte(text), err == nil
}
