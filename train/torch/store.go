package torch

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// maxValue is the size in bytes of the longest value of a [Store].
const maxValue = 4096

// Store is a table of texts that processes share, through which they find each other. One
// process serves it. Its methods may be called at any time from any goroutine; they block
// while that process does not answer.
type Store struct {
	mu     sync.Mutex
	handle int64 // 0 once closed
}

// OpenStore connects to the store at an address "host:port", which has to be there within
// timeout, or, to serve it, makes it there, on all addresses of this machine. Keys are apart
// from those of other prefixes.
func (l *Library) OpenStore(address string, serve bool, prefix string, timeout time.Duration) (*Store, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("open store at %s: port %q: want 1 to 65535", address, service)
	}
	handle, err := newFailure().storeOpen(host, int(port), serve, prefix, timeout.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("open store at %s: %w", address, err)
	}
	return &Store{handle: handle}, nil
}

// Set stores a value of 1 to 4096 bytes.
func (s *Store) Set(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.closed()
	if n := len(value); err == nil && (n < 1 || n > maxValue) {
		err = fmt.Errorf("%d bytes: want 1 to %d", n, maxValue)
	}
	if err == nil {
		err = newFailure().storeSet(s.handle, key, value)
	}
	if err != nil {
		return fmt.Errorf("set %q in the store: %w", key, err)
	}
	return nil
}

// Get returns the value of a key; nil while it is not set.
func (s *Store) Get(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, n, err := make([]byte, maxValue), 0, s.closed()
	if err == nil {
		n, err = newFailure().storeGet(s.handle, key, value)
	}
	if err == nil && n > maxValue {
		err = fmt.Errorf("the value has %d bytes, more than %d", n, maxValue)
	}
	if err != nil {
		return nil, fmt.Errorf("get %q from the store: %w", key, err)
	}
	if n == 0 {
		return nil, nil
	}
	return value[:n], nil
}

// Close disconnects, and ends a store that this process serves.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handle != 0 {
		shimStoreClose(s.handle)
		s.handle = 0
	}
}

func (s *Store) closed() error {
	if s.handle == 0 {
		return errors.New("the store is closed")
	}
	return nil
}
