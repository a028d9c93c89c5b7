package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image/jpeg"
	"slices"
)

const (
	jpegStart = "\xff\xd8"
	// jpegTables begins a JPEG's Huffman tables.
	jpegTables = "\xff\xc4"
)

// jpegEnd walks the segments (ITU-T T.81, B.1) and returns where the end-of-image marker is.
func jpegEnd(content []byte) (int, error) {
	for at := len(jpegStart); ; {
		next := bytes.IndexByte(content[at:], 0xff)
		if next < 0 || at+next+1 >= len(content) {
			return 0, errTruncated
		}
		at += next + 1
		marker := content[at]
		switch {
		case marker == 0xff: // fill byte: the marker follows
			continue
		case marker == 0xd9: // end of image
			return at - 1, nil
		case marker == 0x00, marker == 0x01, marker >= 0xd0 && marker <= 0xd8:
			at++ // stuffed data byte, or markers without a segment
			continue
		}
		at++
		if len(content)-at < 2 {
			return 0, errTruncated
		}
		length := int(binary.BigEndian.Uint16(content[at:]))
		if length < 2 {
			return 0, fmt.Errorf("segment %#x of the JPEG file is damaged", marker)
		}
		if length > len(content)-at {
			return 0, errTruncated
		}
		at += length
	}
}

// checkJPEG decodes a file that [ReadRGB] reads a second time, if it is a JPEG, and strictly.
// OpenCV makes a picture of whatever data it finds, and does not return its decoder's warnings.
func checkJPEG(path string) error {
	content, _, err := readImageFile(path)
	if err != nil || !bytes.HasPrefix(content, []byte(jpegStart)) {
		return err
	}
	if !bytes.Contains(content, []byte(jpegTables)) {
		return nil // as in motion JPEG: OpenCV knows the tables that are meant, image/jpeg does not
	}
	end, err := jpegEnd(content)
	if err != nil {
		return &FileError{path, err}
	}
	_, err = jpeg.Decode(bytes.NewReader(content))
	switch unsupported := jpeg.UnsupportedError(""); {
	case errors.As(err, &unsupported): // which says nothing about the file
		return nil
	case err != nil:
		return fault(path, "the picture is damaged: %w; replace it", err)
	case spareData(content, end):
		return fault(path, "the picture is damaged: it is whole before its data ends; replace it")
	}
	return nil
}

// spareData tells whether a JPEG is whole without the last bytes before its end: damaged data
// makes more or fewer pixels, and only fewer of them fail a decoder. A few bytes may be there
// for alignment, and any number of fill bytes.
func spareData(content []byte, end int) bool {
	const tolerated = 16
	for content[end-1] == 0xff {
		end--
	}
	last := end - tolerated - 1
	if last < len(jpegStart) {
		return false
	}
	_, err := jpeg.Decode(bytes.NewReader(slices.Concat(content[:last], content[end:])))
	return err == nil
}
