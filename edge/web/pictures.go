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

// requested reads the parameters camera and view; without them, the first camera and the
// overlay are meant. It answers a request that asks for what does not exist.
func (s *Server) requested(w http.ResponseWriter, r *http.Request) (Pictures, view.View, bool) {
	query, v := r.URL.Query(), view.Overlay
	if name := query.Get("view"); name != "" {
		var err error
		if v, err = view.Parse(name); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return nil, "", false
		}
	}
	pictures, err := s.o.Pictures(query.Get("camera"))
	if err != nil {
		http.Error(w, OneLine(err), http.StatusNotFound)
		return nil, "", false
	}
	return pictures, v, true
}
