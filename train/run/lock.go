package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Lock keeps other processes from training the run in a folder: [Lock] there is an error for
// them. It returns how to unlock it; a process that ends, in whatever way, unlocks it too. On
// a file system without locks it does nothing. The folder must exist.
func Lock(dir string) (unlock func() error, err error) {
	folder, err := os.Open(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errIncomplete(dir)
	case err != nil:
		return nil, fmt.Errorf("lock run: %w", err)
	}
	err = unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("run %s: another process is training it; wait until it has ended, or stop it", dir), folder.Close())
	}
	return folder.Close, nil
}
