package overlay

import (
	"time"
)

// A stamp is a row of square blocks along the top edge, dark for 0 and bright for 1, most
// significant bit first: the capture time in microseconds since the Unix epoch modulo
// 2^48 (nine years), then eight check bits. The blocks are grey and at least a few pixels
// wide, so that they survive video compression.
const (
	stampTimeBits  = 48
	stampCheckBits = 8
	stampBits      = stampTimeBits + stampCheckBits
	stampMaxSide   = 16
	stampDark      = 16
	stampBright    = 235
)

// stampSide is the side of a block in pixels in a picture of the given width; even, so that
// blocks and chroma samples share their edges.
func stampSide(width int) int {
	return min(stampMaxSide, width/stampBits) &^ 1
}

func drawStamp(p *Picture, captured time.Time) {
	side := stampSide(p.Width)
	micros := uint64(captured.UnixMicro()) & (1<<stampTimeBits - 1)
	code := micros<<stampCheckBits | uint64(stampCheck(micros))
	for y := range min(side, p.Height) {
		row := p.Pix[y*p.Width*3:]
		for bit := range stampBits {
			level := byte(stampDark)
			if code>>(stampBits-1-bit)&1 == 1 {
				level = stampBright
			}
			block := row[bit*side*3 : (bit+1)*side*3]
			for i := range block {
				block[i] = level
			}
		}
	}
}

// stampCheck folds the time into eight bits; it differs from zero for a black picture.
func stampCheck(micros uint64) uint8 {
	check := uint8(0xa5)
	for ; micros > 0; micros >>= 8 {
		check = check<<1 | check>>7
		check ^= uint8(micros)
	}
	return check
}

// ReadStamp decodes the stamp of a picture from its luma plane or any grey version of it:
// rows of width pixels, stride bytes apart. The nine-year period is taken to be the one
// that contains now. It reports false when there is no stamp.
func ReadStamp(luma []byte, width, stride int, now time.Time) (captured time.Time, ok bool) {
	side := stampSide(width)
	if side < 2 || len(luma) < stride*(side-1)+width {
		return time.Time{}, false
	}
	var code uint64
	for bit := range stampBits {
		// The middle of a block is the farthest from compression artefacts.
		sum, n := 0, 0
		for y := side / 4; y < side-side/4; y++ {
			for x := side / 4; x < side-side/4; x++ {
				sum += int(luma[y*stride+bit*side+x])
				n++
			}
		}
		code <<= 1
		if sum > n*(stampDark+stampBright)/2 {
			code |= 1
		}
	}
	micros := code >> stampCheckBits
	if stampCheck(micros) != uint8(code) {
		return time.Time{}, false
	}
	period := uint64(1) << stampTimeBits
	return time.UnixMicro(int64(uint64(now.UnixMicro())&^(period-1) | micros)), true
}
