package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	_ "image/jpeg" // for the sizes of pictures
	"image/png"
	"os"

	"gocv.io/x/gocv"
)

const (
	// maxFileBytes and maxPixels bound what a broken or hostile file can make us allocate.
	maxFileBytes = 256 << 20
	maxPixels    = 128 << 20

	pngHeader = "\x89PNG\r\n\x1a\n"
)

// ReadRGB reads a picture, JPEG or PNG, as Height rows of Width pixels of three bytes: red,
// green, blue. More bits than 8 are cut off, greys become colours, transparency is dropped. The
// orientation that a camera noted is not applied: label files do not have it. A file that ends
// too early is an error, never a picture with grey in place of the rest, and so is damage of a
// PNG, whose data has checksums. That of a JPEG has none: damage inside is left to [Check].
func ReadRGB(path string) (rgb []uint8, width, height int, err error) {
	content, size, err := readImageFile(path)
	if err != nil {
		return nil, 0, 0, err
	}
	if err := checkComplete(content); err != nil {
		return nil, 0, 0, fault(path, "%w; delete or replace it", err)
	}
	m, err := gocv.IMDecode(content, gocv.IMReadColor|gocv.IMReadIgnoreOrientation)
	if err != nil {
		return nil, 0, 0, fault(path, "decode picture: %w", err)
	}
	defer m.Close()
	if m.Empty() || m.Cols() != size.X || m.Rows() != size.Y {
		return nil, 0, 0, fault(path, "the picture cannot be decoded; delete or replace it")
	}
	bgr, err := m.DataPtrUint8()
	if err != nil {
		return nil, 0, 0, fault(path, "decode picture: %w", err)
	}
	rgb = make([]uint8, len(bgr))
	swapRedBlue(rgb, bgr)
	return rgb, size.X, size.Y, nil
}

// swapRedBlue copies pixels of three bytes, the first and the third swapped.
func swapRedBlue(to, from []uint8) {
	for i := 0; i+2 < len(from) && i+2 < len(to); i += 3 {
		to[i], to[i+1], to[i+2] = from[i+2], from[i+1], from[i]
	}
}

// ReadIDs reads a label image: a PNG file of greys or with a palette, whose grey values or
// indices are ids, as height rows of width ids.
func ReadIDs(path string) (ids []uint8, width, height int, err error) {
	return readLabels(path, greyIDs)
}

// decoder turns a label image into one byte per pixel. depth is the file's bits per sample.
type decoder func(img image.Image, depth int) ([]uint8, error)

func readLabels(path string, decode decoder) (ids []uint8, width, height int, err error) {
	content, size, err := readImageFile(path)
	if err != nil {
		return nil, 0, 0, err
	}
	if !bytes.HasPrefix(content, []byte(pngHeader)) {
		return nil, 0, 0, fault(path, "labels must be PNG files: others change ids")
	}
	img, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, 0, 0, fault(path, "decode labels: %w; delete or replace the file", err)
	}
	const depthAt = 24 // ISO/IEC 15948, 11.2.2; the decoder has read that far
	ids, err = decode(img, int(content[depthAt]))
	if err != nil {
		return nil, 0, 0, &FileError{path, err}
	}
	return ids, size.X, size.Y, nil
}

// readImageFile returns a file and the size that its header promises.
func readImageFile(path string) ([]byte, image.Point, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, image.Point{}, fileFault(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, image.Point{}, fault(path, "it is no regular file")
	}
	if info.Size() > maxFileBytes {
		return nil, image.Point{}, fault(path, "the file is larger than %d MiB", maxFileBytes>>20)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, image.Point{}, fileFault(path, err)
	}
	if len(content) == 0 {
		return nil, image.Point{}, fault(path, "the file is empty; delete or replace it")
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(content))
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, image.Point{}, fault(path, "the file is neither JPEG nor PNG")
	case err != nil:
		return nil, image.Point{}, fault(path, "the header cannot be read: %w; delete or replace the file", err)
	case config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height:
		return nil, image.Point{}, fault(path, "%d x %d pixels are more than %d Mi", config.Width, config.Height, maxPixels>>20)
	}
	return content, image.Pt(config.Width, config.Height), nil
}

// fileFault leaves out the path that errors of package os repeat.
func fileFault(path string, err error) error {
	var cause *os.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return &FileError{path, err}
}

var errTruncated = errors.New("the file ends too early")

// checkComplete looks for the end of a JPEG or PNG file. Decoders fill the rest of a file
// that lacks it with grey and report nothing.
func checkComplete(content []byte) error {
	if bytes.HasPrefix(content, []byte(jpegStart)) {
		_, err := jpegEnd(content)
		return err
	}
	return checkPNGEnd(content)
}

// checkPNGEnd walks the chunks (ISO/IEC 15948, 5.3) up to IEND.
func checkPNGEnd(content []byte) error {
	const frame = 12 // length, type and checksum
	for rest := content[len(pngHeader):]; len(rest) >= frame; {
		length := uint64(binary.BigEndian.Uint32(rest))
		if string(rest[4:8]) == "IEND" {
			return nil
		}
		if length+frame > uint64(len(rest)) {
			break
		}
		rest = rest[length+frame:]
	}
	return errTruncated
}
