// Package run keeps training runs in folders: config.yaml says what is trained and how,
// last.safetensors holds the weights by their checkpoint keys, the masks of selective
// whitening, and what a training needs to go on; other files tell how it went.
package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/internal/strictyaml"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// The files of a run folder.
const (
	ConfigFile = "config.yaml"
	LastFile   = "last.safetensors"
	// BestFile has the weights and masks of the best validation.
	BestFile = "best.safetensors"
)

// Run is a run folder with what it holds.
type Run struct {
	Dir    string
	Config Config
	Net    *nn.Network
	Checkpoint
}

// Create makes a run folder with its first checkpoint. The folder may exist only if it is
// empty. config.yaml appears last, so a folder that has it is complete; when writing fails,
// what was written is removed.
func Create(dir string, c Config, first Checkpoint) (*Run, error) {
	r, err := assemble(dir, c, first)
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w", dir, err)
	}
	if err := checkVacant(dir); err != nil {
		return nil, fmt.Errorf("create run %s: %w", dir, err)
	}
	if err := r.write(); err != nil {
		return nil, errors.Join(fmt.Errorf("create run %s: %w", dir, err), r.remove())
	}
	return r, nil
}

// assemble checks that the parts of a run fit each other.
func assemble(dir string, c Config, ck Checkpoint) (*Run, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	net, err := nn.New(c.Network)
	if err != nil {
		return nil, err
	}
	if err := ck.check(net); err != nil {
		return nil, err
	}
	return &Run{Dir: dir, Config: c, Net: net, Checkpoint: ck}, nil
}

// checkVacant refuses folders that hold anything.
func checkVacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	for _, e := range entries {
		if e.Name() == ConfigFile {
			return errors.New("there is a run already; name another folder, or delete this one first")
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder holds other files, such as %s; name a new one", entries[0].Name())
	}
	return nil
}

func (r *Run) write() error {
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return err
	}
	if err := r.Checkpoint.write(filepath.Join(r.Dir, LastFile)); err != nil {
		return err
	}
	text, err := yaml.Marshal(r.Config)
	if err != nil {
		return err
	}
	if err := atomicfile.Bytes(filepath.Join(r.Dir, ConfigFile), text); err != nil {
		return err
	}
	// Classes and maps may be too many for what is read, or have names that YAML does not
	// keep: better known now than after the training.
	if _, err := ReadConfig(r.Dir); err != nil {
		return fmt.Errorf("the configuration does not read back: %w", err)
	}
	return nil
}

// remove deletes what write wrote, and the folder if it is empty then.
func (r *Run) remove() error {
	for _, name := range []string{ConfigFile, LastFile} {
		if err := os.Remove(filepath.Join(r.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(r.Dir) // fails where it was missing or others put files into it
	return nil
}

// ReadConfig reads and checks a run's configuration alone.
func ReadConfig(dir string) (Config, error) {
	var c Config
	path := filepath.Join(dir, ConfigFile)
	placement := strictyaml.Array(len(nn.Placement{}), func(norms []nn.Norm) nn.Placement { return nn.Placement(norms) })
	err := strictyaml.Read(path, &c, placement, labels.ColorArray())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, errIncomplete(dir)
	case err != nil:
		return c, fmt.Errorf("open run: %w", err)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("open run: %s: %w", path, err)
	}
	return c, nil
}

func errIncomplete(dir string) error {
	return fmt.Errorf("open run %s: it has no %s, so it is no complete run; make one with robustnet-train fit or robustnet-train import", dir, ConfigFile)
}

// Open reads a run with its last checkpoint and checks that all of it fits.
func Open(dir string) (*Run, error) { return open(dir, LastFile) }

// OpenCheckpoint is Open for the path of a run folder or of a checkpoint in it, such as
// RUN/best.safetensors.
func OpenCheckpoint(path string) (*Run, error) {
	if dir := Folder(path); dir != path {
		return open(dir, filepath.Base(path))
	}
	return Open(path)
}

// Folder returns the run folder of a path as [OpenCheckpoint] takes it.
func Folder(path string) string {
	if filepath.Ext(path) == filepath.Ext(LastFile) {
		return filepath.Dir(path)
	}
	return path
}

func open(dir, checkpoint string) (*Run, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	ck, err := readCheckpoint(filepath.Join(dir, checkpoint))
	if checkpoint == BestFile && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open run %s: it has no %s, which validations write; name the folder for its last checkpoint", dir, BestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	r, err := assemble(dir, c, ck)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", dir, err)
	}
	return r, nil
}

// Save makes c the run's last checkpoint. The one before stays until c is on the disk, and where
// c holds what is no number.
func (r *Run) Save(c Checkpoint) error {
	if err := c.checkFinite(); err != nil {
		return fmt.Errorf("save checkpoint: %w; the one before is whole: lower the learning rate and start anew", err)
	}
	if err := c.write(filepath.Join(r.Dir, LastFile)); err != nil {
		return fmt.Errorf("save checkpoint: %w; the one before is whole: make room, then train on with --resume %s", err, r.Dir)
	}
	r.Checkpoint = c
	return nil
}

// SaveBest makes c, without what only a training needs, the run's best checkpoint.
func (r *Run) SaveBest(c Checkpoint) error {
	c.Velocity = nil
	if err := c.write(filepath.Join(r.Dir, BestFile)); err != nil {
		return fmt.Errorf("save best checkpoint: %w", err)
	}
	return nil
}

// New returns a run that is not in a folder (yet): dir is where other processes of the same
// training keep it.
func New(dir string, c Config, first Checkpoint) (*Run, error) {
	r, err := assemble(dir, c, first)
	if err != nil {
		return nil, fmt.Errorf("begin run %s: %w", dir, err)
	}
	return r, nil
}
