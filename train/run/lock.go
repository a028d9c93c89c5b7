package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
)

// Lock keeps other processes from training the run in a folder: [Lock] there is an error for
// them. It returns how to unlock it; a process that ends, in whatever way, unlocks it too. On
// a file system without locks nobody is kept away. The folder must exist. What a process that
// was killed has left of a checkpoint is removed.
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
	if err == nil { // otherwise another process may be writing
		err = errors.Join(atomicfile.Sweep(filepath.Join(dir, LastFile)), atomicfile.Sweep(filepath.Join(dir, BestFile)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock run: %w", err), folder.Close())
		}
	}
	return folder.Close, nil
}
