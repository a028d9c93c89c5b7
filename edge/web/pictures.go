package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/robustnet-edge/robustnet/edge/view"
)

// ErrNoPicture is returned by [Pictures] while there is no frame to make a picture of.
var ErrNoPicture = errors.New("there is no frame yet")

// Pictures gives the pictures that the server shows. It is implemented by the daemon and
// must be safe for concurrent use.
type Pictures interface {
	// Picture returns the newest frame as JPEG in the given view, waiting until there is
	// one with a sequence number other than after (0: any). It returns soon after ctx
	// ends, with ctx's error, and with [ErrNoPicture] when the daemon stops. The bytes are the caller's to read, shared between callers,
	// and not to be changed.
	Picture(ctx context.Context, v view.View, after uint64) (jpeg []byte, seq uint64, err error)
}

// requestedView reads the parameter view; without it, the overlay is meant.
func requestedView(r *http.Request) (view.View, error) {
	name := r.URL.Query().Get("view")
	if name == "" {
		return view.Overlay, nil
	}
	return view.Parse(name)
}
