package evaluate_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/run"
)

// A picture of sea, of whose 144 pixels 100 are water to the network, 40 quay, which no class of
// the labels is, and 4 crane, which they call land.
func TestConfusionOfTranslated(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"port":    "classes: [{name: sea, color: [0, 0, 1]}, {name: land, color: [0, 1, 0]}]\n",
		"harbour": "classes: [{name: water, color: [0, 0, 1]}, {name: quay, color: [0, 1, 0]}, {name: crane, color: [1, 0, 0]}]\nmaps: {port.yaml: {water: sea, crane: land}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeSet(t, dir, 1, rand.New(rand.NewPCG(1, 1)), 0)
	predicted := answers{slices.Concat(slices.Repeat([]uint8{0}, 100), slices.Repeat([]uint8{1}, 40), slices.Repeat([]uint8{2}, 4))}
	folder := func(name string) string { return "folder=" + filepath.Join(dir, name+".yaml") + "@" + dir }
	result, err := evaluate.Score(t.Context(), predicted, open(t, folder("harbour")).Classes, open(t, folder("port")), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &run.Confusion{Classes: []string{"sea", "land"}, Pixels: [][]uint64{{100, 4, 40}, {0, 0, 0}}}
	if got := result.Evaluation(1).Confusion; !reflect.DeepEqual(got, want) || !got.Translated() {
		t.Errorf("confusion %+v, want %+v", got, want)
	}
}
