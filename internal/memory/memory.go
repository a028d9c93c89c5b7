// Package memory tells how much memory the process takes and the system has.
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

// AvailableBytes returns how much memory programs can still have without swapping, 0 where the
// system does not tell.
func AvailableBytes() int64 {
	system, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	info, err := system.Meminfo()
	if err != nil || info.MemAvailableBytes == nil {
		return 0
	}
	return int64(*info.MemAvailableBytes)
}
