package corrupt

import (
	"fmt"
	"math/rand/v2"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera/cvmat"
)

// The strengths by severity are ImageNet-C's; brightnesses go from 0 to 1.
var (
	noiseDeviation = [MaxSeverity]float64{0.08, 0.12, 0.18, 0.26, 0.38}
	brighter       = [MaxSeverity]float64{0.1, 0.2, 0.3, 0.4, 0.5}
	contrastLeft   = [MaxSeverity]float64{0.4, 0.3, 0.2, 0.1, 0.05}
	jpegQuality    = [MaxSeverity]int{25, 18, 15, 10, 7}
)

// noise adds normal noise, each channel its own.
func noise(p picture, severity int, random *rand.Rand) ([]uint8, error) {
	out, deviation := make([]uint8, len(p.rgb)), noiseDeviation[severity-1]
	for i, v := range p.rgb {
		out[i] = level(float64(v)/255 + deviation*random.NormFloat64())
	}
	return out, nil
}

// brightness raises the value of HSV and keeps hue and saturation.
func brightness(p picture, severity int, _ *rand.Rand) ([]uint8, error) {
	var factors [256]float64
	for value := range factors {
		v := float64(value) / 255
		factors[value] = min(v+brighter[severity-1], 1) / max(v, 1e-9)
	}
	black := level(brighter[severity-1])
	out := make([]uint8, len(p.rgb))
	for i := 0; i < len(out); i += 3 {
		value := max(p.rgb[i], p.rgb[i+1], p.rgb[i+2])
		for c := i; c < i+3; c++ {
			if out[c] = black; value > 0 {
				out[c] = level(float64(p.rgb[c]) / 255 * factors[value])
			}
		}
	}
	return out, nil
}

// contrast moves each channel towards its mean.
func contrast(p picture, severity int, _ *rand.Rand) ([]uint8, error) {
	out, left := make([]uint8, len(p.rgb)), contrastLeft[severity-1]
	for c := range 3 {
		sum := 0
		for i := c; i < len(p.rgb); i += 3 {
			sum += int(p.rgb[i])
		}
		mean := float64(sum) / float64(len(p.rgb)/3) / 255
		var table [256]uint8
		for v := range table {
			table[v] = level((float64(v)/255-mean)*left + mean)
		}
		for i := c; i < len(p.rgb); i += 3 {
			out[i] = table[p.rgb[i]]
		}
	}
	return out, nil
}

// compress encodes and decodes, with chroma at half the resolution.
func compress(p picture, severity int, _ *rand.Rand) ([]uint8, error) {
	bgr := make([]uint8, len(p.rgb))
	swap(bgr, p.rgb)
	m, err := cvmat.Over(bgr, p.height, p.width, gocv.MatTypeCV8UC3)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	file, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, m.Mat, []int{gocv.IMWriteJpegQuality, jpegQuality[severity-1]})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	defer file.Close()
	decoded, err := gocv.IMDecode(file.GetBytes(), gocv.IMReadColor)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	defer decoded.Close()
	out := decoded.ToBytes()
	if len(out) != len(p.rgb) {
		return nil, fmt.Errorf("decode: %d bytes instead of %d; pictures have at most 65500 pixels a side", len(out), len(p.rgb))
	}
	swap(out, out)
	return out, nil
}

// swap copies pixels with red and blue exchanged; to may be from.
func swap(to, from []uint8) {
	for i := 0; i < len(from); i += 3 {
		to[i], to[i+1], to[i+2] = from[i+2], from[i+1], from[i]
	}
}
