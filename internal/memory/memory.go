// Package memory tells how much memory the process takes.
package memory

import "github.com/prometheus/procfs"

// PeakBytes returns the high-water mark of the process's resident memory, 0 where the system
// does not tell.
func PeakBytes() int64 {
	self, err := procfs.Self()
	if err != nil {
		return 0
	}
	status, err := self.NewStatus()
	if err != nil {
		return 0
	}
	return int64(status.VmHWM)
}
