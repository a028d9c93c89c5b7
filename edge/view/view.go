// Package view names the ways of looking at a segmented frame.
package view

import (
	"fmt"
	"strings"
)

// View is a way of looking at a frame.
type View string

// The views.
const (
	Overlay    View = "overlay"      // the frame with the classes' colours over it
	Mask       View = "mask"         // the colours alone
	SideBySide View = "side-by-side" // the frame on the left, the overlay on the right
	Raw        View = "raw"          // the frame alone
)

// All lists every [View], in the order in which they are offered.
func All() []View { return []View{Overlay, Mask, SideBySide, Raw} }

// Parse reads a view's name.
func Parse(name string) (View, error) {
	names := make([]string, 0, len(All()))
	for _, v := range All() {
		if string(v) == name {
			return v, nil
		}
		names = append(names, string(v))
	}
	return "", fmt.Errorf("unknown view %.40q; choose one of %s", name, strings.Join(names, ", "))
}
