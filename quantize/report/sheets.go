package report

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"path/filepath"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/trt"
)

// sheetRows are the pictures with what variants make of them.
type sheetRows struct {
	Rows    []page.PictureRow
	Classes []trt.Class
	// Truths are the classes of truths that are drawn in others.
	Truths []truthClasses
	// Omitted is the number of those beyond the page's limit.
	Omitted int
}

// truthClasses are those of a domain's labels.
type truthClasses struct {
	Domain  string
	Classes []trt.Class
}

const (
	// maxSheets bounds the size of the page.
	maxSheets = 24
	// sheetWidth is that of a picture: five are side by side.
	sheetWidth = 480
	// maxNotes is how many of the files that cannot be read are named.
	maxNotes = 20
)

// readSheets reads the pictures in a folder. Those that cannot be read are named in the notes.
func readSheets(r *Report, dir string) (rows sheetRows, notes []string) {
	shown := r.Sheets[:min(len(r.Sheets), maxSheets)]
	rows.Omitted = len(r.Sheets) - len(shown)
	rows.Classes = clipped(r.Model.Labels)
	for _, s := range shown {
		if len(s.TruthClasses) > 0 {
			rows.Truths = append(rows.Truths, truthClasses{clip(s.Domain, maxName), clipped(s.TruthClasses)})
		}
		row, unread := readSheet(s, r.baseline(), dir)
		if len(row.Parts) > 0 {
			rows.Rows = append(rows.Rows, row)
		}
		for _, err := range unread {
			notes = append(notes, clip(err.Error(), 3*maxName))
		}
	}
	if more := len(notes) - maxNotes; more > 0 {
		notes = append(notes[:maxNotes], fmt.Sprintf("%d more pictures", more))
	}
	return rows, notes
}

// clipped returns classes with names that do not break the layout.
func clipped(classes []trt.Class) (all []trt.Class) {
	for _, c := range classes {
		all = append(all, trt.Class{Name: clip(c.Name, maxName), Color: c.Color})
	}
	return all
}

func readSheet(s Sheet, baseline, dir string) (row page.PictureRow, unread []error) {
	variant := cmp.Or(s.Variant, "int8")
	row.Title = clip(cmp.Or(s.Domain, "picture"), maxName)
	row.Name = fmt.Sprintf("%s and %s agree on %s of the pixels", clip(variant, maxName), clip(baseline, maxName), measured(s.Agreement, "%.2f %%"))
	if s.Picture != "" {
		row.Name = clip(s.Picture, maxName) + ": " + row.Name
	}
	for _, part := range []struct {
		name, file string
		drawn      bool
	}{
		{"input", s.Input, false}, {"truth", s.Truth, true}, {baseline, s.Float, true}, {variant, s.Integer, true},
		{"disagreement", s.Disagreement, true},
	} {
		if part.file == "" {
			continue
		}
		name := clip(part.name, maxName)
		shown := page.PicturePart{Name: name, Alt: fmt.Sprintf("%s, %s: %s", row.Title, clip(s.Picture, maxName), name)}
		var err error
		if shown.Picture, err = readPart(dir, part.file, part.drawn); err != nil {
			unread = append(unread, err)
		}
		row.Parts = append(row.Parts, shown)
	}
	return row, unread
}

// errOutside is for names that a report has no reason to have.
var errOutside = errors.New("it is not in the folder of the report")

func readPart(dir, file string, drawn bool) (template.URL, error) {
	if !filepath.IsLocal(file) {
		return "", fmt.Errorf("read picture %s: %w", clip(file, maxName), errOutside)
	}
	return page.Picture(filepath.Join(dir, file), sheetWidth, drawn)
}
