package pth

// opcodes are those of Python's Lib/pickletools.py for protocols 2 to 5, less the
// text ones of protocol 0, extension codes and out-of-band buffers.
var opcodes = [256]func(*machine){
	0x80: func(m *machine) { // PROTO
		if p := m.byte(); p > 5 {
			m.fail("protocol %d is unknown", p)
		}
	},
	0x95: func(m *machine) { // FRAME: only a hint for buffering
		if n := m.uint(8); n > uint64(len(m.data)-m.pos) {
			m.fail("a frame of %d bytes is longer than the rest", n)
		}
	},
	'.': func(m *machine) { m.stopped = true },

	'(':  func(m *machine) { m.marks = append(m.marks, len(m.stack)) },
	'0':  func(m *machine) { m.pop() },
	'1':  func(m *machine) { m.popMark() },
	'2':  func(m *machine) { m.push(m.top()) },
	'q':  func(m *machine) { m.put(int(m.byte())) },
	'r':  func(m *machine) { m.put(int(m.uint(4))) },
	0x94: func(m *machine) { m.put(len(m.memo)) },
	'h':  func(m *machine) { m.recall(int(m.byte())) },
	'j':  func(m *machine) { m.recall(int(m.uint(4))) },

	'N':  func(m *machine) { m.push(nil) },
	0x88: func(m *machine) { m.push(true) },
	0x89: func(m *machine) { m.push(false) },
	'J':  func(m *machine) { m.push(int64(int32(m.uint(4)))) },
	'K':  func(m *machine) { m.push(int64(m.uint(1))) },
	'M':  func(m *machine) { m.push(int64(m.uint(2))) },
	0x8a: func(m *machine) { m.pushLong(m.uint(1)) },
	0x8b: func(m *machine) { m.pushLong(m.uint(4)) },
	'G':  (*machine).pushFloat,

	'U':  func(m *machine) { m.push(m.take(m.uint(1))) },
	'T':  func(m *machine) { m.push(m.take(m.uint(4))) },
	0x8c: func(m *machine) { m.push(m.take(m.uint(1))) },
	'X':  func(m *machine) { m.push(m.take(m.uint(4))) },
	0x8d: func(m *machine) { m.push(m.take(m.uint(8))) },
	'C':  func(m *machine) { m.push(bytesValue(m.take(m.uint(1)))) },
	'B':  func(m *machine) { m.push(bytesValue(m.take(m.uint(4)))) },
	0x8e: func(m *machine) { m.push(bytesValue(m.take(m.uint(8)))) },
	0x96: func(m *machine) { m.push(bytesValue(m.take(m.uint(8)))) },

	')':  func(m *machine) { m.push(tuple(nil)) },
	0x85: func(m *machine) { m.pushShortTuple(1) },
	0x86: func(m *machine) { m.pushShortTuple(2) },
	0x87: func(m *machine) { m.pushShortTuple(3) },
	't':  func(m *machine) { m.pushTuple(m.popMark()) },
	0x91: func(m *machine) { m.pushTuple(m.popMark()) }, // FROZENSET

	']':  func(m *machine) { m.push(&list{}) },
	0x8f: func(m *machine) { m.push(&list{}) }, // EMPTY_SET
	'a':  func(m *machine) { m.appendTo([]any{m.pop()}) },
	'e':  func(m *machine) { m.appendTo(m.popMark()) },
	0x90: func(m *machine) { m.appendTo(m.popMark()) }, // ADDITEMS

	'}': func(m *machine) { m.push(&dict{}) },
	's': func(m *machine) {
		value, key := m.pop(), m.pop()
		m.setIn([]any{key, value})
	},
	'u': func(m *machine) { m.setIn(m.popMark()) },

	'c': func(m *machine) {
		module, name := m.line(), m.line()
		m.pushClass(module, name)
	},
	0x93: (*machine).stackGlobal,
	'R':  func(m *machine) { m.reduce() },
	0x81: func(m *machine) { m.reduce() }, // NEWOBJ
	0x92: func(m *machine) { // NEWOBJ_EX
		m.pop()
		m.reduce()
	},
	'b': (*machine).build,
	'Q': (*machine).persistent,
}
