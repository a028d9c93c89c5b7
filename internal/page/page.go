// Package page has what the reports for browsers share: the look in light and dark, the way
// numbers are written, charts that follow the colour scheme, and pictures within the page.
//
// A page is one file without scripts and without anything from elsewhere; its
// Content-Security-Policy forbids both.
package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
)

//go:embed page.html
var parts string

//go:embed page.css
var look string

// Head is shown by the template "head".
type Head struct {
	Title string
	Style template.CSS
}

// NewHead returns the head of a page with the common style and the page's own, which comes
// second.
func NewHead(title, style string) Head { return Head{title, template.CSS(look + style)} }

// Fact is a number with its name, for the template "facts".
type Fact struct{ Name, Value, Hint string }

// PictureRow is pictures side by side, for the template "rows".
type PictureRow struct {
	Title string
	// Name says more about the pictures; it may be empty.
	Name  string
	Parts []PicturePart
}

// PicturePart is one of the pictures of a row.
type PicturePart struct {
	Name, Alt string
	// Picture is empty if the file could not be read.
	Picture template.URL
}

// Layout parses a page's template, which may use these besides its own functions:
//
//	{{template "head" .}}   with a [Head]: what belongs between <head> and </head>
//	{{template "notes" .}}  with texts: what could not be read
//	{{template "facts" .}}  with [Fact]s: what belongs into <dl class="facts">
//	{{template "rows" .}}   with [PictureRow]s
//	{{template "chips" .}}  with classes, by Name and Color: what the colours of labels mean
//
// and the functions points, change, count, breakable and color.
func Layout(text string, own template.FuncMap) *template.Template {
	t := template.New("page").Funcs(template.FuncMap{
		"points": Points, "change": Change, "count": Count[int], "breakable": breakable,
		"color": func(rgb [3]uint8) template.CSS {
			return template.CSS(fmt.Sprintf("#%02x%02x%02x", rgb[0], rgb[1], rgb[2]))
		},
	}).Funcs(own)
	return template.Must(template.Must(t.Parse(parts)).Parse(text))
}

// breakable lets long names, as of data sets, go on in another line.
func breakable(name string) template.HTML {
	return template.HTML(strings.NewReplacer(":", ":<wbr>", "_", "_<wbr>").Replace(template.HTMLEscapeString(name)))
}

// Write replaces the file at path by the page that a layout makes of content.
func Write(path string, layout *template.Template, content any) error {
	var html bytes.Buffer
	if err := layout.Execute(&html, content); err != nil {
		return fmt.Errorf("lay out %s: %w", path, err)
	}
	return atomicfile.Bytes(path, html.Bytes())
}
