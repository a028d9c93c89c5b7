// Package picture looks at the header of an image before OpenCV does: of one that claims to be
// huge, OpenCV makes an exception that ends the program.
package picture

import (
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // formats of DecodeConfig
	_ "image/png"
	"io"
	"slices"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"

	"github.com/robustnet-edge/robustnet/camera"
)

// Check returns an error if r is no PNG, JPEG, BMP or WebP image, or if a side of it exceeds
// [camera.MaxSide]. It reads no more than the header.
func Check(r io.Reader) error {
	c, format, err := image.DecodeConfig(r)
	known := slices.Contains([]string{"png", "jpeg", "bmp", "webp"}, format) // others of the program may know more
	switch {
	case errors.Is(err, image.ErrFormat), err == nil && !known:
		return errors.New("it is no PNG, JPEG, BMP or WebP image")
	case err != nil:
		return fmt.Errorf("its header is damaged or unusual: %w", err)
	}
	return CheckSize(c.Width, c.Height)
}

// CheckSize returns an error if a side is outside 1..[camera.MaxSide].
func CheckSize(width, height int) error {
	if width < 1 || height < 1 || width > camera.MaxSide || height > camera.MaxSide {
		return fmt.Errorf("it has %d×%d pixels; width and height must be within 1..%d", width, height, camera.MaxSide)
	}
	return nil
}
