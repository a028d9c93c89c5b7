package corrupt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestWeatherEqualsNumPy compares means over many pictures with those of testdata/make.py.
// Other random numbers make other pictures, so that both means are off by chance: the
// tolerance is four deviations of their difference, which all lines together exceed in one of
// six hundred seeds.
func TestWeatherEqualsNumPy(t *testing.T) {
	const pictures, theirs = 400, 2000
	figures := map[string]map[string]float64{}
	random := rand.New(rand.NewPCG(7, 0))
	for severity := 1; severity <= MaxSeverity; severity++ {
		figures[fmt.Sprint(Snow, severity)] = means(pictures, func() map[string]float64 { return snowFigures(severity, random) })
		figures[fmt.Sprint(Fog, severity)] = means(pictures, func() map[string]float64 { return fogFigures(severity, random) })
	}
	text, err := os.ReadFile("testdata/weather.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kind, measure string
		var severity int
		var want, deviation float64
		if _, err := fmt.Sscan(line, &kind, &severity, &measure, &want, &deviation); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got, ok := figures[fmt.Sprint(kind, severity)][measure]
		if tolerance := 4 * deviation * math.Sqrt(1./pictures+1./theirs); !ok || math.Abs(got-want) > tolerance {
			t.Errorf("%s %d: %s %.5f, want %.5f ± %.5f", kind, severity, measure, got, want, tolerance)
		}
	}
}

func means(n int, draw func() map[string]float64) map[string]float64 {
	sums := map[string]float64{}
	for range n {
		for measure, v := range draw() {
			sums[measure] += v / float64(n)
		}
	}
	return sums
}

// side is that of ImageNet-C's pictures.
const side = 224

func snowFigures(severity int, random *rand.Rand) map[string]float64 {
	light, count := 0.0, 0.0
	for _, v := range flakes(side, side, severity, random) {
		light += float64(v) / 255
		if v > 0 {
			count++
		}
	}
	return map[string]float64{"light": light / (side * side), "flakes": count / (side * side)}
}

func fogFigures(severity int, random *rand.Rand) map[string]float64 {
	f := fogs[severity-1]
	const whole = 256
	clouds := plasma(whole, f.decay, random)
	sum, squares, steps := 0.0, 0.0, 0.0
	for y := range side {
		for x, v := range clouds[y*whole:][:side] {
			added := f.thickness * float64(v)
			sum, squares = sum+added, squares+added*added
			if x > 0 {
				steps += math.Abs(added - f.thickness*float64(clouds[y*whole+x-1]))
			}
		}
	}
	mean := sum / (side * side)
	return map[string]float64{"light": mean, "deviation": math.Sqrt(squares/(side*side) - mean*mean), "steps": steps / (side * (side - 1))}
}
