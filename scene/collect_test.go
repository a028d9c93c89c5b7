package scene

import "testing"

// What stands before a facade must be painted after it, and what stands further along
// than a building and behind its facade's line must be painted before it.
func TestHousesHideOnlyWhatIsBehindThem(t *testing.T) {
	before, behind := 0, 0
	for seed := range uint64(6) {
		s, err := New(Options{Width: 64, Height: 64, FPS: 30, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 3000; n += 500 {
			s.begin(n)
			s.collect()
			for i := range s.items {
				h := s.items[i].house
				if h == nil {
					continue
				}
				for j := range s.items {
					th := &s.items[j].thing
					x := h.side * th.x
					if s.items[j].house != nil || x <= 0 {
						continue
					}
					switch {
					case x <= h.front && th.z >= h.z0 && th.z <= h.z1:
						before++
						if j < i {
							t.Fatalf("seed %d frame %d: a thing of kind %d at x %.1f z %.1f is painted before the facade at x %.1f z %.1f..%.1f behind it",
								seed, n, th.kind, th.x, th.z, h.side*h.front, h.z0, h.z1)
						}
					case x > h.front && th.z > h.z1:
						behind++
						if j > i {
							t.Fatalf("seed %d frame %d: a thing of kind %d at x %.1f z %.1f is painted after the building at x %.1f z %.1f..%.1f that hides it",
								seed, n, th.kind, th.x, th.z, h.side*h.front, h.z0, h.z1)
						}
					}
				}
			}
		}
	}
	if before < 100 || behind < 100 {
		t.Errorf("met %d things before facades and %d behind buildings, want 100 of each to judge by", before, behind)
	}
}
