package main

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	comments   = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	directives = regexp.MustCompile(`(?m)^[ \t]*#.*$`)
	pure       = regexp.MustCompile(`\s*=\s*0$`)
	named      = regexp.MustCompile(`([A-Za-z_]\w*)\s*\(`)
)

// stubs returns the classes, for those that the header has, in the namespace whose types the
// declarations name.
func (s source) stubs(header string) (string, error) {
	header = directives.ReplaceAllString(comments.ReplaceAllString(header, ""), "")
	var b strings.Builder
	for _, class := range s.classes {
		body, ok, err := classBody(header, class)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.file, err)
		}
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "\nclass Stub%s : public %s {\n public:\n", class, class)
		for _, method := range pureMethods(body) {
			name := named.FindStringSubmatch(method)[1]
			fmt.Fprintf(&b, "  %s override { fake::uncalled(\"%s::%s\"); }\n", method, class, name)
		}
		b.WriteString("};\n")
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%s has none of the classes %s", s.file, strings.Join(s.classes, ", "))
	}
	return fmt.Sprintf("\nnamespace %s {\n%s\n}  // namespace %[1]s\n", s.namespace, b.String()), nil
}

// classBody returns what lies between the braces of a class's definition.
func classBody(header, class string) (body string, ok bool, err error) {
	at := regexp.MustCompile(`\bclass\s+` + class + `\b[^;{]*\{`).FindStringIndex(header)
	if at == nil {
		return "", false, nil
	}
	depth := 1
	for i := at[1]; i < len(header); i++ {
		switch header[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return header[at[1]:i], true, nil
		}
	}
	return "", false, fmt.Errorf("class %s does not end", class)
}

// pureMethods returns the declarations of a class's pure virtual methods, without what stands
// before the type and the "= 0". Bodies of other methods, which have braces, are none.
func pureMethods(body string) []string {
	var methods []string
	for statement := range strings.SplitSeq(body, ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		_, declaration, ok := strings.Cut(statement, "virtual ")
		if !ok || !pure.MatchString(declaration) || !named.MatchString(declaration) {
			continue
		}
		methods = append(methods, pure.ReplaceAllString(declaration, ""))
	}
	return methods
}
