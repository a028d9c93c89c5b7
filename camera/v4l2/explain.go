package v4l2

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// explain says what failed, and what to do about it. The cause stays in the chain.
func explain(what, path string, err error) error {
	if path == "" {
		path = "/dev/video*"
	}
	for _, advice := range []struct {
		is   error
		text string
	}{
		{syscall.EBUSY, "another program has the camera; fuser -v " + path + " names it"},
		{syscall.EACCES, "the user may not open it: sudo usermod -aG video $USER, and log in again"},
		{syscall.EPERM, "a sandbox keeps it away: give the container --device " + path + ", or the unit DeviceAllow=char-video4linux rw"},
		{syscall.ENXIO, "nothing is behind this node; plug the camera in again, robustnet-edge cameras shows what is there"},
		{syscall.ENODEV, "the camera is unplugged or its driver gone; plug it in, robustnet-edge cameras shows what is there"},
		{fs.ErrNotExist, "plug the camera in; robustnet-edge cameras shows what is there"},
		{syscall.ENOTTY, "this is no camera; robustnet-edge cameras shows what is there"},
		{syscall.ENOSPC, "the USB bus has no bandwidth left; choose M-JPEG, a smaller size or rate, or plug the camera into another controller"},
		{syscall.ENOMEM, "the driver has no memory for pictures; choose a smaller size, or give the kernel more contiguous memory (cma=)"},
		{syscall.EIO, "the camera or its bus failed; plug it in again, dmesg says more"},
		{syscall.EPROTO, "the camera or its bus failed; plug it in again, dmesg says more"},
		{syscall.ETIMEDOUT, "the camera does not answer; plug it in again, dmesg says more"},
	} {
		if errors.Is(err, advice.is) {
			return fmt.Errorf("%s: %w; %s", what, err, advice.text)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}
