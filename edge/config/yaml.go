package config

import (
	"bytes"
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

// maxFileBytes bounds the configuration file. A complete one with comments has four
// thousand bytes.
const maxFileBytes = 1 << 20

// file reads a YAML file. Its path came from origin, which is to blame when the file
// cannot be read at all.
func (l *loader) file(path string, origin Origin) {
	content, err := readFile(path)
	if err != nil {
		if origin.Where == path { // the error names it
			origin.Layer = LayerDefault
		}
		l.fault(origin, "", err.Error())
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
// YAML can say: one mapping of sections to mappings of plain or quoted one-line values.
func (l *loader) yaml(name string, content []byte) {
	r := yamlReader{loader: l, name: name, firstSeen: map[string]*token.Token{}}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	switch {
	case len(content) > maxFileBytes:
		r.reject("the file is larger than 1 MB; is it a configuration?")
		return
	case !utf8.Valid(content):
		r.reject("the file is not text in UTF-8")
		return
	}
	// The lexer counts a carriage return as a column.
	tokens := lexer.Tokenize(strings.ReplaceAll(string(content), "\r\n", "\n"))
	if !r.plain(tokens) {
		return
	}
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	var syntax yaml.Error
	switch {
	case errors.As(err, &syntax):
		r.fault(syntax.GetToken(), "", "not valid YAML: "+syntax.GetMessage())
	case err != nil:
		r.reject("not valid YAML: " + err.Error())
	default:
		r.document(doc)
	}
}

// yamlReader walks the syntax tree of one file.
type yamlReader struct {
	*loader
	name      string
	firstSeen map[string]*token.Token // by key and by section
}

// at is the place of a token.
func (r *yamlReader) at(tk *token.Token) Origin {
	where := r.name
	if tk != nil && tk.Position != nil {
		where = fmt.Sprintf("%s:%d:%d", r.name, tk.Position.Line, tk.Position.Column)
	}
	return Origin{Layer: LayerFile, Where: where}
}

func (r *yamlReader) fault(tk *token.Token, key, problem string) {
	r.loader.fault(r.at(tk), key, problem)
}

// reject notes a problem with the file as a whole.
func (r *yamlReader) reject(problem string) { r.fault(nil, "", problem) }

// plain refuses what settings never need before the parser sees it, which also keeps
// hostile nesting away from the parser's recursion.
func (r *yamlReader) plain(tokens token.Tokens) bool {
	const mostDepth = 2 // {section: {name: value}}
	good, depth := true, 0
	for _, tk := range tokens {
		problem := ""
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			problem = "anchors and aliases are not supported; write the value out"
		case token.TagType, token.DirectiveType:
			problem = "tags and directives are not supported; leave them out"
		case token.SequenceEntryType, token.SequenceStartType:
			problem = "a list is not a setting's value"
		case token.LiteralType, token.FoldedType:
			problem = "block text is not supported; write the value in one line"
		case token.MappingKeyType:
			problem = "keys with a question mark are not supported; write key: value"
		case token.MappingStartType:
			if depth++; depth > mostDepth {
				problem = "nested too deeply; settings are section, name and value"
			}
		case token.MappingEndType:
			depth--
		case token.InvalidType:
			problem = "not valid YAML: " + tk.Error
		}
		if problem != "" {
			r.fault(tk, "", problem)
			good = false
			if depth > mostDepth {
				return false // one fault tells it, a million braces do not say more
			}
		}
	}
	return good
}

// document walks a whole file. An empty one, or one of comments alone, sets nothing.
func (r *yamlReader) document(file *ast.File) {
	if len(file.Docs) > 1 {
		r.fault(file.Docs[1].GetToken(), "", "a second document starts here; one file holds one configuration")
		return
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return
	}
	for _, entry := range r.entries(file.Docs[0].Body, "", "sections such as camera:") {
		r.section(entry.Key, entry.Value)
	}
}

// entries is the content of a mapping without the duplicates, which are faults.
func (r *yamlReader) entries(node ast.Node, prefix, want string) []*ast.MappingValueNode {
	var all []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{n}
	case *ast.NullNode, *ast.CommentGroupNode: // all of it is commented out
	default:
		r.fault(node.GetToken(), "", strings.TrimSpace(strings.TrimSuffix(prefix, ".")+" is not "+want))
	}
	return slices.DeleteFunc(slices.Clone(all), func(entry *ast.MappingValueNode) bool {
		key, tk := prefix+keyText(entry.Key), entry.Key.GetToken()
		first, seen := r.firstSeen[key]
		if seen {
			r.fault(tk, key, fmt.Sprintf("is here twice; the first is in line %d", first.Position.Line))
		} else {
			r.firstSeen[key] = tk
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
	}
	if len(names) == 0 {
		r.unknown(keyNode, section, sections(r.settings))
		return
	}
	for _, entry := range r.entries(node, section+".", "a mapping of names to values") {
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
	r.fault(keyNode.GetToken(), "", fmt.Sprintf("unknown key %s%s", shorten(key), didYouMean(likely)))
}

// value reads one setting. Values are taken as they are written, so that 0x10 or 1_000
// mean nothing else here than in a flag.
func (r *yamlReader) value(s setting, entry *ast.MappingValueNode) {
	tk := entry.Value.GetToken()
	switch n := entry.Value.(type) {
	case *ast.NullNode:
		// The token of a value that is not there lies anywhere; the key's does not.
		r.fault(entry.Key.GetToken(), s.Key, `has no value; leave the line out for the default`)
		return
	case *ast.StringNode:
		quoted := tk.Type == token.DoubleQuoteType || tk.Type == token.SingleQuoteType
		if quoted && s.bare() {
			r.fault(tk, s.Key, fmt.Sprintf("is text; write %s without quotes", s.allowed()))
			return
		}
		r.set(s, n.Value, r.at(tk))
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		r.set(s, tk.Value, r.at(tk))
	default:
		r.fault(tk, s.Key, "is a mapping; want one value (quote text that has a colon at its end or before a space)")
	}
}

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
