package web

import (
	"context"
	"net/http"

	"github.com/robustnet-edge/robustnet/edge/view"
)

// Pictures gives the pictures that the server shows. It is implemented by the daemon and
// must be safe for concurrent use.
type Pictures interface {
	// Picture returns the newest frame as JPEG in the given view, waiting until there is
	// one with a sequence number other than after (0: any). It returns soon after ctx
	// ends, with ctx's error. The bytes are the caller's to read, shared between callers,
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
