package web

import (
	"context"
	"fmt"
	"strings"

	"github.com/robustnet-edge/robustnet/edge/view"
)

// View is a way of looking at a frame.
type View = view.View

// The views.
const (
	ViewOverlay    = view.Overlay    // the picture with the classes in colour over it
	ViewRaw        = view.Raw        // the picture alone
	ViewMask       = view.Mask       // the classes alone, in their colours
	ViewSideBySide = view.SideBySide // raw on the left, overlay on the right
)

// Views lists every [View], in the order in which the page offers them.
func Views() []View { return []View{ViewOverlay, ViewRaw, ViewMask, ViewSideBySide} }

// ParseView reads a view's name; the empty name means [ViewOverlay].
func ParseView(name string) (View, error) {
	if name == "" {
		return ViewOverlay, nil
	}
	names := make([]string, 0, len(Views()))
	for _, v := range Views() {
		if string(v) == name {
			return v, nil
		}
		names = append(names, string(v))
	}
	return "", fmt.Errorf("unknown view %.40q; choose one of %s", name, strings.Join(names, ", "))
}

// Pictures gives the pictures that the server shows. It is implemented by the daemon and
// must be safe for concurrent use.
type Pictures interface {
	// Picture returns the newest frame as JPEG in the given view, waiting until there is
	// one with a sequence number other than after (0: any). It returns soon after ctx
	// ends, with ctx's error. The bytes are the caller's to read, shared between callers,
	// and not to be changed.
	Picture(ctx context.Context, view View, after uint64) (jpeg []byte, seq uint64, err error)
}
