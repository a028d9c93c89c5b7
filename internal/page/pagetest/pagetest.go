// Package pagetest reads pages as a browser does, and checks what is true of all of them.
package pagetest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Document is a page as a browser reads it.
type Document struct {
	// Source is the page's file.
	Source string

	elements []*html.Node
}

// Parse reads a page.
func Parse(t testing.TB, source string) Document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	d := Document{Source: source}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.elements = append(d.elements, n)
		}
	}
	return d
}

// All returns the elements of a name.
func (d Document) All(name string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(d.elements), func(n *html.Node) bool { return n.Data != name })
}

// Classed returns the elements that have a class.
func (d Document) Classed(class string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(d.elements), func(n *html.Node) bool {
		return !slices.Contains(strings.Fields(Attribute(n, "class")), class)
	})
}

// Attribute returns an element's attribute, "" without it.
func Attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Text is what an element says, with single spaces.
func Text(n *html.Node) string {
	var text strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			text.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// Texts is what elements say.
func Texts(nodes []*html.Node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, Text(n))
	}
	return all
}

var dataURLs = regexp.MustCompile(`data:image/[^"]*`)

// Check checks that nothing on a page comes from elsewhere or runs, that nothing is only for
// the eye, and that no number or colour went wrong. A page has at most 8 MiB.
func Check(t testing.TB, d Document) {
	t.Helper()
	policy := false
	for _, n := range d.elements {
		policy = policy || Attribute(n, "http-equiv") == "Content-Security-Policy" && strings.HasPrefix(Attribute(n, "content"), "default-src 'none'")
		checkElement(t, n)
	}
	if !policy {
		t.Error("the page has no Content-Security-Policy that forbids everything")
	}
	rest := dataURLs.ReplaceAllString(d.Source, "")
	for _, bad := range []string{"url(", "@import", "ZgotmplZ", "#F0F", "NaN", "Inf", "%!"} {
		if i := strings.Index(rest, bad); i >= 0 {
			t.Errorf("the page has %q: …%s…", bad, rest[max(0, i-40):min(len(rest), i+40)])
		}
	}
	const maxBytes = 8 << 20
	if len(d.Source) > maxBytes {
		t.Errorf("the page has %d bytes", len(d.Source))
	}
}

func checkElement(t testing.TB, n *html.Node) {
	t.Helper()
	switch n.Data {
	case "script", "iframe", "object", "embed", "link", "base", "a", "form":
		t.Errorf("the page has an element %s", n.Data)
	case "img":
		if Attribute(n, "alt") == "" {
			t.Error("a picture has no alternative text")
		}
	case "svg":
		if Attribute(n, "role") != "img" || Attribute(n, "aria-label") == "" {
			t.Error("a chart has no description")
		}
	case "th":
		if !slices.Contains([]string{"row", "col", "colgroup"}, Attribute(n, "scope")) {
			t.Errorf("the heading %q belongs to nothing", Text(n))
		}
	}
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "src" && !strings.HasPrefix(a.Val, "data:image/") || a.Key == "href" {
			t.Errorf("%s has the attribute %s=%.40q", n.Data, a.Key, a.Val)
		}
	}
}
