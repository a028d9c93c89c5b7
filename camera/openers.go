package camera

import (
	"context"
	"fmt"
	"strings"
)

// Openers maps schemes to what opens them. The program fills it with the kinds of
// source that it was built with.
type Openers map[string]Opener

// Open opens the camera that uri names. It blocks until the source is ready or ctx ends.
func (o Openers) Open(ctx context.Context, uri URI, want Want) (Source, error) {
	open := o[uri.Scheme]
	if open == nil {
		return nil, Permanent(fmt.Errorf("open camera %s: this program has no %q sources, only %s",
			uri.Redacted(), uri.Scheme, strings.Join(sortedKeys(o), ", ")))
	}
	return open(ctx, uri, want)
}
