package feed

import (
	"image"
	"math"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
)

// The numbers of crops that the reference implementation plans: GTAV with the numbers of
// tiles per class that its authors logged, and Cityscapes.
func TestPlanHasThePublishedNumbers(t *testing.T) {
	gtav := []int{12109, 11833, 12301, 10854, 8811, 11928, 7891, 5921, 12132, 11549, 12131, 10691, 986, 10501, 6711, 1861, 493, 1211, 168}
	cityscapes := slices.Repeat([]int{2000}, 19)
	absent := slices.Clone(cityscapes)
	absent[16], absent[3] = 0, 0
	for _, c := range []struct {
		name         string
		pictures     int
		share        float64
		tiles        []int
		each, random int
	}{
		{"GTAV", 12388, 0.5, gtav, 326, 6194},
		{"Cityscapes", 2975, 0.5, cityscapes, 78, 1493},
		{"two classes never occur", 2975, 0.5, absent, 78, 2975 - 17*78},
		{"all centred", 19 * 5, 1, cityscapes, 5, 0},
		{"few pictures", 30, 0.5, cityscapes, 0, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := data.NewSet(c.name, labels.Cityscapes(), names("", c.pictures), nil)
			d := newDomain(Options{ClassUniform: c.share, Sets: []*data.Set{set}}, 0, []*data.Set{set})
			for class, n := range c.tiles {
				d.centroids = append(d.centroids, nil)
				for i := range n {
					d.centroids[class] = append(d.centroids[class], centroid{place: int32(i % c.pictures), x: int32(class), y: int32(i)})
				}
			}
			draws := d.plan(3)
			if len(draws) != c.pictures {
				t.Fatalf("the epoch has %d crops", len(draws))
			}
			perClass, random := make([]map[int]int, 19), map[place]int{}
			for i := range perClass {
				perClass[i] = map[int]int{}
			}
			early := 0
			for i, draw := range draws {
				if draw.centre == nil {
					random[draw.place]++
					if i < c.pictures/2 {
						early++
					}
					continue
				}
				perClass[draw.centre.X][draw.centre.Y]++
			}
			total := 0
			for _, n := range random {
				if total += n; n > 1 {
					t.Error("a picture is drawn twice at random")
				}
			}
			if math.Abs(float64(early)-float64(c.random)/2) > 2*math.Sqrt(float64(c.pictures)) {
				t.Errorf("%d of %d random crops are in the first half of the epoch", early, c.random)
			}
			if total != c.random {
				t.Errorf("%d crops are random, want %d", total, c.random)
			}
			for class, counts := range perClass {
				total, least, most := 0, c.pictures, 0
				for _, n := range counts {
					total, least, most = total+n, min(least, n), max(most, n)
				}
				want := c.each
				if c.tiles[class] == 0 {
					want = 0
				}
				if total != want {
					t.Errorf("class %d has %d crops, want %d", class, total, want)
				}
				if want > c.tiles[class] && len(counts) != c.tiles[class] || most > least+1 {
					t.Errorf("class %d: centroids are repeated while others wait", class)
				}
				if want <= c.tiles[class] && most > 1 {
					t.Errorf("class %d: a centroid is repeated", class)
				}
			}
		})
	}
}

func TestCentroids(t *testing.T) {
	// 5×3 in tiles of 2: three across, of which the last is one wide, and two down.
	p := &data.Picture{Width: 5, Height: 3, Labels: []uint8{
		0, 0, 1, 255, 2,
		0, 1, 1, 255, 2,
		3, 3, 3, 3, 3,
	}}
	want := [][]centroid{
		{{7, 0, 0}}, // x of 0, 1, 0, y of 0, 0, 1
		{{7, 1, 1}, {7, 2, 0}},
		{{7, 4, 0}},
		{{7, 0, 2}, {7, 2, 2}, {7, 4, 2}},
	}
	for class, got := range centroids(p, 7, 2, 4) {
		if !slices.Equal(got, want[class]) {
			t.Errorf("class %d: %v, want %v", class, got, want[class])
		}
	}
	for class, got := range centroids(p, 0, 1024, 4) {
		if len(got) != 1 {
			t.Errorf("class %d has %d centroids in a tile larger than the picture", class, len(got))
		}
	}
}

// The search reads labels alone, finds what the whole pictures have, and fills no cache.
func TestSearchReadsLabels(t *testing.T) {
	o := options()
	o.Concat, o.CacheBytes = true, 1<<30
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.search(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := make([][]centroid, 19)
	for i, at := range f.domains[0].places {
		p, err := at.set.Read(at.index)
		if err != nil {
			t.Fatal(err)
		}
		for class, list := range centroids(p, int32(i), o.Tile, 19) {
			want[class] = append(want[class], list...)
		}
	}
	if !slices.EqualFunc(f.domains[0].centroids, want, slices.Equal) {
		t.Error("the centroids are not those of the pictures")
	}
	if len(f.cache.pictures) > 0 || f.cache.free != o.CacheBytes {
		t.Errorf("%d pictures are in the cache", len(f.cache.pictures))
	}
}

// Pictures smaller than a tile have centroids too, and a rare class becomes as frequent as
// its share.
func TestRareClassesAreShown(t *testing.T) {
	const n, rare = 40, 18
	set := data.NewSet("streets", labels.Cityscapes(), names("", n), func(s data.Sample) (*data.Picture, error) {
		p := &data.Picture{Width: 64, Height: 48, RGB: make([]uint8, 3*64*48), Labels: make([]uint8, 64*48)}
		if s.Name == "/7" {
			p.Labels[20*64+50] = rare
		}
		return p, nil
	})
	var last image.Point
	o := Options{Sets: []*data.Set{set}, Recipe: augment.Recipe{CropSide: 8, ScaleMin: 1, ScaleMax: 1}, Batch: n, Accumulate: 1, World: 1, ClassUniform: 0.5, Tile: 1024,
		Indexed: func(done, total int) { last = image.Pt(done, total) }}
	shown := 0
	for _, b := range take(t, o, 0, 2) {
		for crop := range slices.Chunk(b.Labels, 64) {
			if slices.Contains(crop, rare) {
				shown++
			}
		}
	}
	if shown < 2 { // ⌊0.5·40/19⌋ crops in each of two epochs
		t.Errorf("the rare class is in %d crops of two epochs", shown)
	}
	if last != image.Pt(n, n) {
		t.Errorf("the search ended at %d of %d", last.X, last.Y)
	}
}
