// Package tail keeps the end of what a process prints, to tell why it ended.
package tail

import (
	"slices"
	"sync"
)

// Buffer keeps the last bytes that were written to it. All methods are safe for concurrent use.
type Buffer struct {
	limit int
	mu    sync.Mutex
	buf   []byte
}

// New makes a buffer that keeps at most limit bytes.
func New(limit int) *Buffer { return &Buffer{limit: limit} }

// Write implements [io.Writer]. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p[max(0, len(p)-b.limit):]...)
	if extra := len(b.buf) - b.limit; extra > 0 {
		b.buf = append(b.buf[:0], b.buf[extra:]...)
	}
	return len(p), nil
}

// Bytes returns a copy of what is kept.
func (b *Buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.buf)
}
