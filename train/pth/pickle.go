package pth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// The bounds that keep the memory of an Open below a fixed amount. A file of
// ResNet-101 with its optimiser state has a pickle of 150 KiB with 40,000
// opcodes; no network of this product needs a tenth of these.
const (
	// maxPickleBytes bounds the pickle, which is held in memory during Open.
	maxPickleBytes = 16 << 20
	// maxOpcodes bounds the objects built from it, of at most opcodeBytes each,
	// garbage of growing slices and maps included.
	maxOpcodes  = 1 << 18
	opcodeBytes = 128
	// maxClassBytes bounds what it costs to compare a class's name.
	maxClassBytes = 256
)

// damaged ends the messages about bytes that torch.save does not write.
const damaged = "the file is damaged or was not written by torch.save; download or copy it again"

// What the machine puts on its stack, besides nil, bool, int64, float64 and
// string. Strings are parts of the pickle, not copies; no opcode copies what
// another one built, so that memory grows with the opcodes only.
type (
	bytesValue string // Python bytes
	longValue  string // an integer of more than 64 bits, little-endian
	latin1     string // bytes, still written as text of code points 0..255
	tuple      []any
	list       struct{ items []any } // also sets
	dict       struct{ entries []entry }
	entry      struct{ key, value any }
	global     struct{ module, name string }

	// opaque stands for the result of a call that was not made.
	opaque struct {
		class *global
		args  tuple
		state any
	}
)

func (g *global) String() string { return shorten(g.module + "." + g.name) }

// get returns the value of a text key, nil if there is none.
func (d *dict) get(key string) any {
	for _, e := range d.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// machine runs pickles that lie one behind the other in data. It knows the
// opcodes that Python writes in protocols 2 to 5 and calls nothing but the few
// functions in call. The first error stops it.
type machine struct {
	data  string
	pos   int
	steps int // opcodes left, for all pickles together

	stack []any
	marks []int // heights of the stack
	memo  map[int]any

	// storages are the tensors' bytes that the pickle refers to, by key.
	storages map[string]*storage

	stopped bool
	err     error
}

// newMachine's pickles may cost one and a half times the file, their own length
// included, and 512 KiB. A tensor takes 30 opcodes: a network whose tensors have
// 3 KB on average is far below.
func newMachine(data string, fileBytes int64) *machine {
	steps := 4096 + (fileBytes*3/2-int64(len(data)))/opcodeBytes
	return &machine{data: data, steps: int(min(steps, maxOpcodes)), storages: map[string]*storage{}}
}

// load runs the next pickle and returns its object.
func (m *machine) load() (any, error) {
	m.stack, m.marks, m.memo, m.stopped = nil, nil, map[int]any{}, false
	for m.err == nil && !m.stopped {
		m.charge(1)
		op := m.byte()
		if m.err != nil {
			break
		}
		if run := opcodes[op]; run != nil {
			run(m)
		} else {
			m.fail("opcode 0x%02x is unknown or of pickle protocol 0 or 1", op)
		}
	}
	result := m.pop()
	return result, m.err
}

// fail keeps the first error. Its text must not contain values of the pickle at
// full length: they can be long, and many.
func (m *machine) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("pickle at byte %d: %s: %s", m.pos, fmt.Sprintf(format, args...), damaged)
	}
}

func (m *machine) charge(steps int) {
	if m.steps -= steps; m.steps < 0 && m.err == nil {
		m.err = errors.New("the pickle has more opcodes than any network with so many bytes of weights; " +
			"save the state_dict alone with torch.save")
	}
}

// take returns the next n bytes.
func (m *machine) take(n uint64) string {
	if n > uint64(len(m.data)-m.pos) {
		m.fail("%d more bytes are announced than there are", n-uint64(len(m.data)-m.pos))
	}
	if m.err != nil {
		return ""
	}
	m.pos += int(n)
	return m.data[m.pos-int(n) : m.pos]
}

// uint reads a little-endian number of up to 8 bytes.
func (m *machine) uint(bytes uint64) uint64 {
	var word [8]byte
	copy(word[:], m.take(bytes))
	return binary.LittleEndian.Uint64(word[:])
}

func (m *machine) byte() byte { return byte(m.uint(1)) }

func (m *machine) line() string {
	n := strings.IndexByte(m.data[m.pos:], '\n')
	if n < 0 {
		m.fail("a line has no end")
		return ""
	}
	return strings.TrimSuffix(m.take(uint64(n)+1), "\n")
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// floor is the height of the stack that the innermost mark protects.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// top returns the topmost value and leaves it there.
func (m *machine) top() any {
	if len(m.stack) <= m.floor() {
		m.fail("the stack is empty")
	}
	if m.err != nil {
		return nil
	}
	return m.stack[len(m.stack)-1]
}

func (m *machine) pop() any {
	v := m.top()
	if m.err == nil {
		m.stack = m.stack[:len(m.stack)-1]
	}
	return v
}

// popMark removes the innermost mark and the values above it. They are valid
// until the next push.
func (m *machine) popMark() []any {
	if len(m.marks) == 0 {
		m.fail("a mark is missing")
		return nil
	}
	height := m.floor()
	m.marks = m.marks[:len(m.marks)-1]
	items := m.stack[height:]
	m.stack = m.stack[:height]
	return items
}

func (m *machine) pushTuple(items []any) { m.push(append(tuple(nil), items...)) }

// pushShortTuple takes n values off the stack.
func (m *machine) pushShortTuple(n int) {
	items := make(tuple, n)
	for i := range items {
		items[n-1-i] = m.pop()
	}
	m.push(items)
}

func (m *machine) pushLong(bytes uint64) {
	raw := m.take(bytes)
	if len(raw) > 8 {
		m.push(longValue(raw))
		return
	}
	var word [8]byte
	copy(word[:], raw)
	unused := 64 - 8*len(raw)
	m.push(int64(binary.LittleEndian.Uint64(word[:])) << unused >> unused)
}

func (m *machine) pushFloat() {
	if raw := m.take(8); m.err == nil {
		m.push(math.Float64frombits(binary.BigEndian.Uint64([]byte(raw))))
	}
}

func (m *machine) put(i int) { m.memo[i] = m.top() }

func (m *machine) recall(i int) {
	v, ok := m.memo[i]
	if !ok {
		m.fail("value %d is used before it is kept", i)
	}
	m.push(v)
}

// appendTo adds values to the list or set on the stack. Objects of unknown
// classes take them too, and forget them.
func (m *machine) appendTo(items []any) {
	switch target := m.top().(type) {
	case *list:
		target.items = append(target.items, items...)
	case *opaque:
	default:
		m.fail("values are appended to what is no list")
	}
}

// setIn adds keys and values, in turn, to the dict on the stack.
func (m *machine) setIn(items []any) {
	if len(items)%2 != 0 {
		m.fail("a key has no value")
		return
	}
	switch target := m.top().(type) {
	case *dict:
		for i := 0; i < len(items); i += 2 {
			target.entries = append(target.entries, entry{items[i], items[i+1]})
		}
	case *opaque:
	default:
		m.fail("a key is set in what is no dict")
	}
}
