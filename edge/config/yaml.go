package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFileBytes bounds the configuration file. One with every setting explained is a tenth
// of it. The parser's time grows with the square of the number of keys, so that a wrong
// file of a megabyte would hold the program up for minutes.
const maxFileBytes = 64 << 10

// file reads a YAML file. namedBy is the flag or variable with its path, if any.
func (l *loader) file(path, namedBy string) {
	content, err := readFile(path)
	if err != nil {
		from := Origin{}
		if namedBy != "" {
			from = Origin{Layer: LayerFile, Where: namedBy}
		}
		l.fault(from, "", err.Error())
		return
	}
	l.yaml(path, content)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return content, nil
}

// yaml reads the content of a file that messages call name. The file may hold less than
// YAML can say: one mapping of sections to mappings of plain or quoted one-line values, and
// one list of such mappings, the cameras.
func (l *loader) yaml(name string, content []byte) {
	r := yamlReader{loader: l, name: name}
	r.read(content)
	slices.SortStableFunc(r.found, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	for _, f := range r.found {
		l.faults = append(l.faults, f.Fault)
	}
}

// yamlReader walks the syntax tree of one file.
type yamlReader struct {
	*loader
	name  string
	found []placed
}

// placed is a fault and where in the file it lies.
type placed struct {
	Fault
	line, column int
}

func (r *yamlReader) read(content []byte) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	switch {
	case len(content) > maxFileBytes:
		r.reject("the file is larger than 64 KiB; is it a configuration?")
		return
	case !utf8.Valid(content):
		r.reject("the file is not text in UTF-8")
		return
	}
	// The lexer takes a carriage return for a column.
	tokens := lexer.Tokenize(strings.ReplaceAll(string(content), "\r\n", "\n"))
	if !r.scan(tokens) {
		return
	}
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	var syntax yaml.Error
	switch {
	case errors.As(err, &syntax):
		r.fault(syntax.GetToken(), "", "not valid YAML: "+syntaxHint(syntax.GetMessage()))
	case err != nil:
		r.reject("not valid YAML: " + err.Error())
	default:
		r.document(doc)
	}
}

// syntaxHint rewords the parser's messages for the mistakes that people make.
func syntaxHint(message string) string {
	switch {
	case strings.Contains(message, "'\t'"):
		return "indent with spaces, not tabs"
	case strings.HasPrefix(message, "mapping value is not allowed"):
		return "a colon does not belong here; " + colonHint
	}
	return message
}

const colonHint = `quote text that ends in a colon, as in "synthetic:"`

// at is the place of a token; of the file when the parser gives none.
func (r *yamlReader) at(tk *token.Token) Origin {
	where := r.name
	if tk != nil {
		where = fmt.Sprintf("%s:%d:%d", r.name, tk.Position.Line, tk.Position.Column)
	}
	return Origin{Layer: LayerFile, Where: where}
}

func (r *yamlReader) fault(tk *token.Token, key, problem string) {
	if key != "" {
		problem = key + " " + problem
	}
	p := placed{Fault: Fault{Origin: r.at(tk), Key: key, Problem: problem}}
	if tk != nil {
		p.line, p.column = tk.Position.Line, tk.Position.Column
	}
	r.found = append(r.found, p)
}

// reject notes a problem with the file as a whole.
func (r *yamlReader) reject(problem string) { r.fault(nil, "", problem) }

// scan notes what YAML can say and settings never need. It returns false when the parser
// should not see the file: hostile nesting would exhaust its stack.
func (r *yamlReader) scan(tokens token.Tokens) bool {
	const mostDepth = 8
	flow, nested, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			nested, line = 0, tk.Position.Line
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			nested++ // "- - - x" is three lists in one line
		}
		if flow > mostDepth || nested > mostDepth {
			r.fault(tk, "", "nested too deeply; settings are section, name and value")
			return false
		}
		if problem := refused(tk); problem != "" {
			r.fault(tk, "", problem)
		}
	}
	return true
}

// refused tells why a token has no place among settings.
func refused(tk *token.Token) string {
	switch tk.Type {
	case token.AnchorType, token.AliasType, token.MergeKeyType:
		return "anchors and aliases are not supported; write the value out"
	case token.TagType, token.DirectiveType:
		return "tags and directives are not supported; leave them out"
	case token.LiteralType, token.FoldedType:
		return "block text is not supported; write the value in one line"
	case token.MappingKeyType:
		return "keys with a question mark are not supported; write key: value"
	}
	return ""
}

// document walks a whole file. An empty one, or one of comments alone, sets nothing.
func (r *yamlReader) document(file *ast.File) {
	if len(file.Docs) > 1 {
		r.fault(file.Docs[1].Start, "", "a second document starts here; one file holds one configuration")
		return
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return
	}
	for _, entry := range r.entries(file.Docs[0].Body, "", "the file") {
		if keyText(entry.Key) == keyCameras {
			r.cameras(entry.Key, entry.Value)
			continue
		}
		r.section(entry.Key, entry.Value)
	}
}

// entries is the content of a mapping without the duplicates, which are faults. Keys are
// prefix and name; what is how messages call the mapping.
func (r *yamlReader) entries(node ast.Node, prefix, what string) []*ast.MappingValueNode {
	var all []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{n}
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		r.fault(node.GetToken(), "", what+" is one value; want lines of key: value")
	case *ast.SequenceNode:
		r.fault(node.GetToken(), "", noList)
	}
	// What remains is empty, or scan has refused it.
	firstLine := map[string]int{}
	return slices.DeleteFunc(slices.Clone(all), func(entry *ast.MappingValueNode) bool {
		key, tk := prefix+keyText(entry.Key), entry.Key.GetToken()
		line, seen := firstLine[key]
		if seen {
			r.fault(tk, "", fmt.Sprintf("%s is here twice; the first is in line %d", show(key, true), line))
		} else {
			firstLine[key] = tk.Position.Line
		}
		return seen
	})
}

func (r *yamlReader) section(keyNode ast.MapKeyNode, node ast.Node) {
	section := keyText(keyNode)
	names := map[string]setting{}
	for _, s := range r.settings {
		if s.Section() == section {
			names[s.Name()] = s
		}
		if s.Key == section {
			r.fault(keyNode.GetToken(), s.Key, fmt.Sprintf("is two keys in a file; write %s: in a line below %s:", s.Name(), s.Section()))
			return
		}
	}
	if len(names) == 0 {
		r.unknown(keyNode, section, append(sections(r.settings), keyCameras))
		return
	}
	for _, entry := range r.entries(node, section+".", section) {
		name := keyText(entry.Key)
		s, found := names[name]
		if !found {
			r.unknown(entry.Key, section+"."+name, keys(r.settings))
			continue
		}
		r.value(s, entry)
	}
}

// unknown reports a key with the one that may have been meant: one that is spelled alike,
// or the same name in another section.
func (r *yamlReader) unknown(keyNode ast.MapKeyNode, key string, known []string) {
	likely := Nearest(key, known)
	if likely == "" {
		name := key[strings.LastIndex(key, ".")+1:]
		for _, s := range r.settings {
			if s.Name() == name || s.Flag == name {
				likely = s.Key
				break
			}
		}
	}
	r.fault(keyNode.GetToken(), "", fmt.Sprintf("unknown key %s%s", show(key, true), didYouMean(likely)))
}

// set stores a value, or the fault that it has.
func (r *yamlReader) set(s setting, text string, tk *token.Token) {
	if err := s.set(text); err != nil {
		r.fault(tk, s.Key, err.Error())
		return
	}
	r.origins[s.Key] = r.at(tk)
}

// value reads one setting.
func (r *yamlReader) value(s setting, entry *ast.MappingValueNode) {
	r.valueOf(s, entry, func(text string, tk *token.Token) { r.set(s, text, tk) })
}

// valueOf passes a setting's text on. Values are taken as they are written, so that 0x10 or
// 1_000 mean nothing else here than in a flag.
func (r *yamlReader) valueOf(s setting, entry *ast.MappingValueNode, set func(string, *token.Token)) {
	tk := entry.Value.GetToken()
	switch n := entry.Value.(type) {
	case *ast.NullNode:
		// The token of a value that is not there lies anywhere; the key's does not.
		r.fault(entry.Key.GetToken(), s.Key, "has no value; leave the line out for the default")
		return
	case *ast.StringNode:
		quoted := tk.Type == token.DoubleQuoteType || tk.Type == token.SingleQuoteType
		if quoted && s.bare() {
			r.fault(tk, s.Key, fmt.Sprintf("is text; write %s without quotes", s.allowed()))
			return
		}
		set(n.Value, tk)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		set(tk.Value, tk)
	case *ast.MappingNode, *ast.MappingValueNode:
		r.fault(tk, s.Key, "has keys of its own; want "+s.allowed()+" ("+colonHint+")")
	case *ast.SequenceNode:
		r.fault(tk, "", noList)
	}
	// What remains, scan has refused.
}

// noList is the fault of a list that is not that of the cameras.
const noList = "a list is not supported here; a setting has one value, and only " + keyCameras + " has several entries"

// keyText is a key as it is meant, without quotes.
func keyText(key ast.MapKeyNode) string {
	return key.GetToken().Value
}

func keys(settings []setting) []string {
	all := make([]string, len(settings))
	for i, s := range settings {
		all[i] = s.Key
	}
	return all
}

func sections(settings []setting) []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.Section())
	}
	return slices.Compact(all)
}
