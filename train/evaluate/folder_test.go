package evaluate_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/evaluate"
)

// writeIDs writes rows of digits as an image of class ids.
func writeIDs(t *testing.T, path string, rows ...string) {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, len(rows[0]), len(rows)))
	for i, digit := range strings.Join(rows, "") {
		img.Pix[i] = byte(digit - '0')
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	labels, masks := t.TempDir(), t.TempDir()
	writeIDs(t, filepath.Join(labels, "b.png"), "0011", "0013") // 3 is ignored
	writeIDs(t, filepath.Join(labels, "a.png"), "2222", "2211")
	writeIDs(t, filepath.Join(masks, "000000.png"), "01")
	writeIDs(t, filepath.Join(masks, "000001.png"), "20")
	list := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(list, []byte("b\na\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	m := confusion.New(3, 3)
	images, err := evaluate.Folder(m, labels, masks, list)
	if err != nil || images != 2 {
		t.Fatalf("Folder = %d, %v; want 2 images", images, err)
	}
	// Counted by hand: rows are the truth, columns the prediction.
	for truth, row := range [3][3]uint64{{4, 0, 0}, {2, 3, 0}, {2, 0, 4}} {
		for predicted, want := range row {
			if got := m.Count(truth, predicted); got != want {
				t.Errorf("%d pixels of class %d predicted as %d, want %d", got, truth, predicted, want)
			}
		}
	}

	if _, err := evaluate.Folder(confusion.New(3, 3), labels, masks, ""); err == nil || !strings.Contains(err.Error(), "000000.png") {
		t.Errorf("masks without labels of their names: error = %v, want one that names 000000.png", err)
	}
}

// Grey images of fewer bits than 8 come out of the decoder with other values.
func TestFewBits(t *testing.T) {
	folder := t.TempDir()
	var pixels bytes.Buffer
	z := zlib.NewWriter(&pixels)
	z.Write([]byte{0, 0x01, 0x23}) // no filter; four pixels
	z.Close()
	file := []byte("\x89PNG\r\n\x1a\n")
	file = appendChunk(file, "IHDR", []byte{0, 0, 0, 4, 0, 0, 0, 1, 4, 0, 0, 0, 0})
	file = appendChunk(file, "IDAT", pixels.Bytes())
	file = appendChunk(file, "IEND", nil)
	if _, err := png.Decode(bytes.NewReader(file)); err != nil {
		t.Fatalf("the test's image cannot be decoded: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "x.png"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	m := confusion.New(3, 3) // ids 0, 1, 2 are classes, and 3 is ignored
	if _, err := evaluate.Folder(m, folder, folder, ""); err != nil {
		t.Fatal(err)
	}
	if m.Pixels() != 3 || m.MeanIoU() != 1 {
		t.Errorf("%d pixels with a mIoU of %g, want 3 with 1", m.Pixels(), m.MeanIoU())
	}
}

func appendChunk(file []byte, kind string, data []byte) []byte {
	file = binary.BigEndian.AppendUint32(file, uint32(len(data)))
	at := len(file)
	file = append(append(file, kind...), data...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file[at:]))
}
