package onnx

import (
	"errors"
	"fmt"
)

// check tells whether the model can be run as far as names go: operators' own rules are
// left to those who run it.
func (m *Model) check() error {
	if m.IR <= 0 {
		return errors.New("it has no version of the file format")
	}
	domains := map[string]bool{"": true, "ai.onnx": true}
	if m.Opset <= 0 {
		return errors.New("it imports no version of the operator set ai.onnx")
	}
	for _, o := range m.OtherOpsets {
		if domains[o.Domain] {
			return fmt.Errorf("it imports the operator set %q twice", o.Domain)
		}
		domains[o.Domain] = true
	}
	return m.Graph.check(domains)
}

func (g *Graph) check(domains map[string]bool) error {
	for _, l := range g.lists() {
		for _, v := range *l.values {
			if err := v.check(); err != nil {
				return fmt.Errorf("%s %q: %w", l.title, v.Name, err)
			}
		}
	}
	known := map[string]bool{"": true} // an optional input that is left out
	if err := g.checkConstants(known); err != nil {
		return err
	}
	for i, n := range g.Nodes {
		if n == nil {
			return fmt.Errorf("node %d is missing", i)
		}
		if err := n.check(known, domains); err != nil {
			return fmt.Errorf("%s: %w", n.title(i), err)
		}
	}
	listed := map[string]bool{}
	for _, v := range g.Outputs {
		if !known[v.Name] {
			return fmt.Errorf("output %q: no node has it as output", v.Name)
		}
		if listed[v.Name] {
			return fmt.Errorf("output %q is listed twice", v.Name)
		}
		listed[v.Name] = true
	}
	return nil
}

// checkConstants adds the names of initialisers and inputs to known.
func (g *Graph) checkConstants(known map[string]bool) error {
	for i, t := range g.Initializers {
		if t == nil {
			return fmt.Errorf("initialiser %d is missing", i)
		}
		if t.Name == "" || known[t.Name] {
			return fmt.Errorf("initialiser %d: its name %q is empty or taken", i, t.Name)
		}
		known[t.Name] = true
		if err := t.check(); err != nil {
			return fmt.Errorf("initialiser %q: %w", t.Name, err)
		}
	}
	listed := map[string]bool{}
	for _, v := range g.Inputs {
		if listed[v.Name] {
			return fmt.Errorf("input %q is listed twice", v.Name)
		}
		listed[v.Name], known[v.Name] = true, true
	}
	return nil
}

// check looks the node's inputs up and adds its outputs.
func (n *Node) check(known, domains map[string]bool) error {
	if n.Op == "" {
		return errors.New("it has no operator")
	}
	if !domains[n.Domain] {
		return fmt.Errorf("the model does not import its operator set %q", n.Domain)
	}
	for _, name := range n.Inputs {
		if !known[name] {
			return fmt.Errorf("its input %q is no input or initialiser of the graph and no output of a node before it", name)
		}
	}
	for _, name := range n.Outputs {
		if name != "" && known[name] {
			return fmt.Errorf("its output %q has a name that is taken", name)
		}
		known[name] = true
	}
	return nil
}

// title says which node an error is about.
func (n *Node) title(i int) string { return fmt.Sprintf("node %d, %s %q", i, n.Op, n.Name) }

func (v Value) check() error {
	if v.Name == "" {
		return errors.New("it has no name")
	}
	if len(v.Shape) > maxRank {
		return fmt.Errorf("it has more than %d dimensions", maxRank)
	}
	if v.DimNames != nil && len(v.DimNames) != len(v.Shape) {
		return fmt.Errorf("it has %d dimensions and %d names for them", len(v.Shape), len(v.DimNames))
	}
	for i, d := range v.Shape {
		if d < -1 || d >= 0 && v.DimNames != nil && v.DimNames[i] != "" {
			return fmt.Errorf("its shape %v is negative or has names %q for fixed dimensions", v.Shape, v.DimNames)
		}
	}
	return nil
}
