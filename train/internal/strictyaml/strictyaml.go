// Package strictyaml reads small YAML files into structs and refuses what the structs do not
// have.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxFileBytes bounds the file: the parser's time grows with the square of the keys.
	maxFileBytes = 64 << 10
	// maxNesting bounds the parser's recursion. Files here nest a handful of levels.
	maxNesting = 16
)

// Array lets Read decode fixed arrays of type A, which are made of lists of n elements. The
// decoder by itself fills short arrays with zeros, and panics at long ones. Errors in arrays
// quote them and have no place.
func Array[A, E any](n int, from func([]E) A) yaml.DecodeOption {
	return yaml.CustomUnmarshaler(func(to *A, text []byte) error {
		var list []E
		if err := yaml.Unmarshal(text, &list); err != nil {
			var fault yaml.Error
			if errors.As(err, &fault) { // whose place is that in the text of the array alone
				err = errors.New(fault.GetMessage())
			}
			return fmt.Errorf("%s: %w", bytes.TrimSpace(text), err)
		}
		if len(list) != n {
			return fmt.Errorf("%s has %d elements, not %d", bytes.TrimSpace(text), len(list), n)
		}
		*to = from(list)
		return nil
	})
}

// Read decodes the file at path into v. Unknown and repeated keys are errors. Errors begin
// with path:line:column where the fault has a place. Arrays need an option, see [Array].
func Read(path string, v any, arrays ...yaml.DecodeOption) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return err
	case len(content) > maxFileBytes:
		return fmt.Errorf("%s: the file is larger than %d KiB; name another", path, maxFileBytes>>10)
	case !utf8.Valid(content):
		return fmt.Errorf("%s: the file is not text in UTF-8", path)
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n") // the lexer counts \r as a column
	if tk := tooDeep(lexer.Tokenize(text)); tk != nil {
		return fmt.Errorf("%s:%d:%d: more than %d levels are nested", path, tk.Position.Line, tk.Position.Column, maxNesting)
	}
	err = yaml.NewDecoder(strings.NewReader(text), append(arrays, yaml.Strict())...).Decode(v)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the file is empty", path)
	}
	return placed(path, err)
}

// tooDeep returns the token at which the nesting is deeper than allowed, nil if none is. A
// block level takes a column at least or, for lists in lists, a dash on the same line.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, dashes, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, dashes = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		}
		if max(flow, dashes) > maxNesting || tk.Position.Column > 1 && tk.Position.IndentLevel > maxNesting {
			return tk
		}
	}
	return nil
}

func placed(path string, err error) error {
	var fault yaml.Error
	if !errors.As(err, &fault) {
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	at := path
	if tk := fault.GetToken(); tk != nil {
		at = fmt.Sprintf("%s:%d:%d", path, tk.Position.Line, tk.Position.Column)
	}
	return fmt.Errorf("%s: %s", at, fault.GetMessage())
}
