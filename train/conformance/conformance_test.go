package conformance

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// references are folders of numbers from the published implementation.
const references = "../../../shared/reference"

func TestReferences(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(references, "*", "manifest.json"))
	if len(dirs) == 0 {
		t.Skip("no reference folders in " + references)
	}
	if !PreferReferenceBLAS() {
		t.Log("no reference BLAS (package libblas3): steps after the first differ in rounding")
	}
	lib, err := torch.Load("")
	if errors.Is(err, torch.ErrLibrary) {
		t.Skip(err)
	}
	for _, manifest := range dirs {
		dir := filepath.Dir(manifest)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			reference, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			report, err := Check(lib, reference)
			if err != nil {
				t.Fatal(err)
			}
			if n := report.Failed(); n > 0 {
				t.Errorf("%d of %d quantities differ", n, len(report.Lines))
				report.Failures().Write(t.Output())
			}
		})
	}
}
