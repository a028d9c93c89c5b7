package conformance

import (
	"path/filepath"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// PreferReferenceBLAS makes libtorch, when it is loaded later, use the reference BLAS
// (Debian's libblas3) instead of an optimised one, and tells whether it is installed. The
// references were computed with it. Two training steps enlarge the difference in rounding
// between two libraries more than a thousand times, so that with another one the losses of
// the third step differ in the third digit.
func PreferReferenceBLAS() bool {
	for _, pattern := range []string{"/usr/lib/*-linux-gnu/blas/libblas.so.3", "/usr/lib64/libblas.so.3"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if torch.Preload(path) == nil {
				return true
			}
		}
	}
	return false
}
