package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
)

// writeCheckpoint writes what torch.save({"state_dict": …, "command": …}) writes: a zip
// archive of a pickle (protocol 2) and the tensors' bytes.
func writeCheckpoint(t *testing.T, path string, state nn.State, command string) {
	t.Helper()
	state = maps.Clone(state)
	state["criterion.weight"] = nn.Array{Shape: []int{19}, Data: make([]float32, 19)}
	var p pickle
	p.WriteString("\x80\x02}(")
	p.text("state_dict")
	p.WriteString("}(")
	keys := slices.Sorted(maps.Keys(state))
	for i, key := range keys {
		p.text("module." + key)
		p.tensor(i, state[key].Shape)
	}
	p.WriteString("u")
	p.text("epoch")
	p.number(51)
	p.text("command")
	p.text(command)
	p.WriteString("u.")

	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	add := func(name string, content []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("data.pkl", p.Bytes())
	for i, key := range keys {
		add(fmt.Sprintf("data/%d", i), floatBytes(state[key].Data))
	}
	add("data/momentum", make([]byte, 2e6))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func floatBytes(values []float32) []byte {
	content, _ := binary.Append(nil, binary.LittleEndian, values) // fails for other types only
	return content
}

// pickle is a program of the pickle machine.
type pickle struct{ bytes.Buffer }

func (p *pickle) text(s string) {
	p.WriteByte('X')
	p.number32(len(s))
	p.WriteString(s)
}

func (p *pickle) number(n int) {
	p.WriteByte('J')
	p.number32(n)
}

func (p *pickle) number32(n int) {
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
}

func (p *pickle) tuple(numbers []int) {
	p.WriteByte('(')
	for _, n := range numbers {
		p.number(n)
	}
	p.WriteByte('t')
}

// tensor rebuilds a contiguous tensor from the i-th storage.
func (p *pickle) tensor(i int, shape []int) {
	strides, n := make([]int, len(shape)), 1
	for d := len(shape) - 1; d >= 0; d-- {
		strides[d] = n
		n *= shape[d]
	}
	p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
	p.text("storage")
	p.WriteString("ctorch\nFloatStorage\n")
	p.text(fmt.Sprint(i))
	p.text("cpu")
	p.number(n)
	p.WriteString("tQ")
	p.number(0)
	p.tuple(shape)
	p.tuple(strides)
	p.WriteString("\x89ccollections\nOrderedDict\n)RtR")
}
