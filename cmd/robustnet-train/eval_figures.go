package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/evaluate"
)

// writeFigures saves pictures as dir/MODEL/DOMAIN/worst_0_image.png, …_truth.png and
// …_prediction.png, and list.txt, which has number, mIoU and name of each.
func writeFigures(dir, model, domain string, worst []evaluate.Exhibit) error {
	dir = filepath.Join(dir, fileName(model), fileName(domain))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--figures: %w", err)
	}
	var list strings.Builder
	for i, e := range worst {
		fmt.Fprintf(&list, "%d\t%.2f\t%s\n", i, e.MIoU, e.Name)
		if err := e.Write(dir, fmt.Sprintf("worst_%d", i)); err != nil {
			return fmt.Errorf("--figures: %w", err)
		}
	}
	if err := atomicfile.Bytes(filepath.Join(dir, "list.txt"), []byte(list.String())); err != nil {
		return fmt.Errorf("--figures: %w", err)
	}
	return nil
}

// fileName makes the name of a file of any text.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, text)
	if strings.Trim(name, ".") == "" { // "." and ".." are folders
		name = "_" + name
	}
	return name
}
