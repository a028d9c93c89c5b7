package pth

import (
	"encoding/binary"
	"math"
	"strings"
)

// stackGlobal names a class or function by two strings on the stack.
func (m *machine) stackGlobal() {
	name, named := m.pop().(string)
	module, placed := m.pop().(string)
	if !named || !placed {
		m.fail("a class has no name")
	}
	m.pushClass(module, name)
}

func (m *machine) pushClass(module, name string) {
	if len(module)+len(name) > maxClassBytes {
		m.fail("a class has a name of more than %d bytes", maxClassBytes)
	}
	m.push(&global{module, name})
}

// reduce stands for calling a class or function.
func (m *machine) reduce() {
	args, ok := m.pop().(tuple)
	class, named := m.pop().(*global)
	if !ok || !named {
		m.fail("a call of what is no class or function")
		return
	}
	m.push(m.call(class, args))
}

// call is the whole list of what a checkpoint can do. Everything else becomes an
// opaque object: its class is never looked for and nothing is called.
func (m *machine) call(class *global, args tuple) any {
	switch class.module + "." + class.name {
	case "collections.OrderedDict":
		return m.orderedDict(args)
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		if t := rebuildTensor(args); t != nil {
			return t
		}
		m.fail("%s has arguments of the wrong kind", class)
	case "torch._utils._rebuild_parameter":
		if len(args) > 0 {
			return args[0]
		}
		m.fail("%s has no argument", class)
	case "torch.Size":
		if len(args) == 1 {
			return args[0]
		}
	case "_codecs.encode":
		if len(args) == 2 && args[1] == "latin1" {
			if text, ok := args[0].(string); ok {
				return latin1(text)
			}
		}
	case "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar":
		if number := numpyScalar(args); number != nil {
			return number
		}
	}
	return &opaque{class: class, args: args}
}

// orderedDict is empty, or has the list of pairs that Python 2 wrote.
func (m *machine) orderedDict(args tuple) any {
	d := &dict{}
	if len(args) == 0 {
		return d
	}
	pairs, ok := args[0].(*list)
	if !ok {
		m.fail("an OrderedDict is made from what is no list")
		return d
	}
	// The same list can be the argument of many calls.
	if m.charge(len(pairs.items)); m.err != nil {
		return d
	}
	for _, item := range pairs.items {
		pair, _ := item.(tuple)
		if l, ok := item.(*list); ok {
			pair = l.items
		}
		if len(pair) != 2 {
			m.fail("an OrderedDict has an item that is no pair")
			return d
		}
		d.entries = append(d.entries, entry{pair[0], pair[1]})
	}
	return d
}

// rebuildTensor takes storage, offset, size and stride, all counted in elements,
// and returns nil if they are not of these kinds.
func rebuildTensor(args tuple) *tensor {
	if len(args) < 4 {
		return nil
	}
	s, isStorage := args[0].(*storage)
	offset, isOffset := args[1].(int64)
	size, isSize := args[2].(tuple)
	stride, isStride := args[3].(tuple)
	if !isStorage || !isOffset || !isSize || !isStride {
		return nil
	}
	return &tensor{storage: s, offset: offset, size: size, stride: stride}
}

// build gives an object its state. Only that of a numpy.dtype matters: an
// OrderedDict's is module versions, and a parameter's are its hooks.
func (m *machine) build() {
	state := m.pop()
	if o, ok := m.top().(*opaque); ok {
		o.state = state
	}
}

// numpyScalar returns a number of numpy as float64, int64 or bool, nil for any
// other kind. Its arguments are a numpy.dtype and bytes in that type's layout.
func numpyScalar(args tuple) any {
	if len(args) != 2 {
		return nil
	}
	var word [8]byte
	var length int
	switch raw := args[1].(type) {
	case bytesValue:
		length = len(raw)
		copy(word[:], raw)
	case latin1:
		for _, r := range raw {
			if length == len(word) {
				return nil
			}
			word[length] = byte(r)
			length++
		}
	}
	dtype, _ := args[0].(*opaque)
	if dtype == nil || len(dtype.args) == 0 {
		return nil
	}
	if state, _ := dtype.state.(tuple); len(state) > 1 && state[1] == ">" {
		return nil
	}
	kind, _ := dtype.args[0].(string)
	bits := binary.LittleEndian.Uint64(word[:])
	unused := 64 - 8*length
	switch {
	case kind == "f8" && length == 8:
		return math.Float64frombits(bits)
	case kind == "f4" && length == 4:
		return float64(math.Float32frombits(uint32(bits)))
	case kind == "b1" && length == 1:
		return bits != 0
	case len(kind) == 2 && kind[0] == 'i' && length == int(kind[1]-'0'):
		return int64(bits) << unused >> unused
	case len(kind) == 2 && kind[0] == 'u' && length == int(kind[1]-'0') && bits <= math.MaxInt64:
		return int64(bits)
	}
	return nil
}

// persistent resolves what torch keeps outside the pickle: a storage, named by
// the tuple ("storage", type, key, device, elements) and, in the legacy format, a
// part of it.
func (m *machine) persistent() {
	id, _ := m.pop().(tuple)
	if m.err != nil {
		return
	}
	if len(id) > 0 && id[0] == "module" { // a whole module pickled by an old torch
		m.push(&opaque{class: &global{"torch.nn", "Module"}})
		return
	}
	if len(id) < 5 || id[0] != "storage" || len(id) > 5 && id[5] != nil {
		m.fail("a reference outside the pickle is of an unknown kind")
		return
	}
	class, isClass := id[1].(*global)
	key, isKey := id[2].(string)
	elements, isCount := id[4].(int64)
	if !isClass || !isKey || !isCount || elements < 0 || len(key) > 64 {
		m.fail("a storage's description is of the wrong kind")
		return
	}
	s := m.storages[key]
	if s == nil {
		// Parts of the pickle would keep all of it in memory as long as the file is open.
		s = &storage{key: strings.Clone(key), class: strings.Clone(class.name), elements: elements}
		if class.module == "torch" || class.module == "torch.cuda" {
			s.dtype = dtypes[strings.TrimSuffix(class.name, "Storage")]
		}
		m.storages[s.key] = s
	}
	if s.class != class.name || s.elements != elements {
		m.fail("storage %q has two types or sizes", key)
	}
	m.push(s)
}
