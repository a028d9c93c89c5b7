package report

import (
	"math"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "−1,234,567"},
		{points(61.25), "61.2"}, {points(100), "100.0"},
		{change(1.26), "+1.3"}, {change(-1.26), "−1.3"}, {change(0.04), "±0.0"}, {change(-0.04), "±0.0"}, {change(0), "±0.0"},
		{percent(0), "0 %"}, {percent(0.0042), "0.4 %"}, {percent(0.126), "13 %"}, {percent(1), "100 %"},
		{small(math.NaN()), "–"}, {small(math.Inf(1)), "–"}, {small(0.01234), "0.0123"}, {small(12.345), "12.3"}, {small(1234.6), "1,235"},
		{duration(0.4), "0 s"}, {duration(59.6), "1 min 0 s"}, {duration(3599), "59 min 59 s"}, {duration(3600), "1 h 0 min"},
		{duration(7312), "2 h 1 min"}, {duration(3 * 86400), "3 d 0 h"}, {duration(1e300), "–"}, {duration(math.Inf(1)), "–"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// The costs are counted layer by layer from the published code, at 1024×2048 pixels.
func TestInferenceCost(t *testing.T) {
	for trunk, want := range map[nn.Trunk]struct {
		parameters int
		gmacs      float64
	}{
		nn.MobileNetV2:  {13355123, 142.7},
		nn.ResNet50:     {40351539, 553.7},
		nn.ShuffleNetV2: {10488343, 117.1},
	} {
		spec := nn.DefaultSpec()
		spec.Trunk = trunk
		parameters, macs, err := inferenceCost(spec)
		if err != nil || parameters != want.parameters || math.Abs(float64(macs)/1e9-want.gmacs) > 0.05 {
			t.Errorf("%s: %d parameters, %d MACs, %v; want %+v", trunk, parameters, macs, err, want)
		}
	}
}
