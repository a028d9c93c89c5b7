package evaluate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
)

// Folder scores a folder of masks against a folder of label images, into m, and returns how
// many masks there were. All are PNG images whose pixels are class ids.
//
// Without list, every mask is compared with the label image of the same name. With list, a
// file of names without .png, one per line, each name needs a mask: of that name, or else,
// for masks numbered 000000.png and up, the one whose number is the name's place in the
// list. A mask of another size than its label image is scaled to it by nearest neighbour.
// After an error m holds the pairs before it.
func Folder(m *confusion.Matrix, labels, masks, list string) (int, error) {
	pairs, err := pairUp(labels, masks, list)
	if err != nil {
		return 0, err
	}
	for i, p := range pairs {
		if err := p.addTo(m); err != nil {
			return i, err
		}
	}
	return len(pairs), nil
}

// pair is a label image and the mask to be scored against it.
type pair struct{ label, mask string }

// pairUp finds the label image of each mask or, with a list, both images of each name.
func pairUp(labels, masks, list string) ([]pair, error) {
	if list == "" {
		return pairByMask(labels, masks)
	}
	names, err := readList(list)
	if err != nil {
		return nil, err
	}
	numbered := false
	if _, err := os.Stat(filepath.Join(masks, names[0]+".png")); errors.Is(err, fs.ErrNotExist) {
		numbered = true
	}
	pairs := make([]pair, len(names))
	for i, name := range names {
		mask := name
		if numbered {
			mask = fmt.Sprintf("%06d", i)
		}
		pairs[i] = pair{filepath.Join(labels, name+".png"), filepath.Join(masks, mask+".png")}
	}
	return pairs, nil
}

func pairByMask(labels, masks string) ([]pair, error) {
	entries, err := os.ReadDir(masks)
	if err != nil {
		return nil, fmt.Errorf("find masks: %w", err)
	}
	var pairs []pair
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".png" && !strings.HasPrefix(e.Name(), ".") {
			pairs = append(pairs, pair{filepath.Join(labels, e.Name()), filepath.Join(masks, e.Name())})
		}
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("find masks: there is no PNG file in %s", masks)
	}
	return pairs, nil
}

func readList(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read list of names: %w", err)
	}
	names := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	if len(names) == 0 {
		return nil, fmt.Errorf("read list of names: %s is empty", path)
	}
	return names, nil
}

// addTo scores the pair.
func (p pair) addTo(m *confusion.Matrix) error {
	truth, width, height, err := data.ReadIDs(p.label)
	if err != nil {
		return fmt.Errorf("read labels: %w", err)
	}
	mask, maskWidth, maskHeight, err := data.ReadIDs(p.mask)
	if err != nil {
		return fmt.Errorf("read mask: %w", err)
	}
	mask, err = confusion.Resize(mask, maskWidth, maskHeight, width, height)
	if err != nil {
		return fmt.Errorf("score %s: %w", p.mask, err)
	}
	if err := m.Add(truth, mask); err != nil {
		return fmt.Errorf("score %s against %s: %w", p.mask, p.label, err)
	}
	return nil
}
