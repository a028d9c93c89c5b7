package v4l2

import (
	"fmt"
	"image"
)

// coefficients of ITU-R BT.601 in units of 1/65536.
type coefficients struct {
	black      int32 // the luma value of black
	luma       int32
	redFromCr  int32
	greenCb    int32
	greenCr    int32
	blueFromCb int32
}

var (
	// studio is what cameras send raw: luma 16..235, chroma 16..240.
	studio = coefficients{black: 16, luma: 76309, redFromCr: 104597, greenCb: 25675, greenCr: 53279, blueFromCb: 132201}
	// full is JPEG's: 0..255.
	full = coefficients{black: 0, luma: 65536, redFromCr: 91881, greenCb: 22554, greenCr: 46802, blueFromCb: 116130}
)

// toBGR converts a decoded camera picture of width×height pixels into dst.
func toBGR(dst []byte, img image.Image, width, height int, c *coefficients) error {
	if b := img.Bounds(); b.Dx() != width || b.Dy() != height {
		return fmt.Errorf("camera sent %d×%d pixels instead of %d×%d", b.Dx(), b.Dy(), width, height)
	}
	switch p := img.(type) {
	case *image.YCbCr:
		return yuvToBGR(dst, p, width, height, c)
	case *image.Gray: // monochrome cameras send such JPEGs
		grayToBGR(dst, p, width, height)
		return nil
	}
	return fmt.Errorf("camera sent a picture of type %T, which cannot be converted", img)
}

func grayToBGR(dst []byte, p *image.Gray, width, height int) {
	for y := range height {
		row := p.Pix[y*p.Stride:][:width]
		out := dst[y*width*3:][:width*3]
		for x, v := range row {
			out[3*x], out[3*x+1], out[3*x+2] = v, v, v
		}
	}
}

// chromaShift is how often chroma is halved against luma.
func chromaShift(r image.YCbCrSubsampleRatio) (horizontal, vertical int, ok bool) {
	switch r {
	case image.YCbCrSubsampleRatio444:
		return 0, 0, true
	case image.YCbCrSubsampleRatio422:
		return 1, 0, true
	case image.YCbCrSubsampleRatio420:
		return 1, 1, true
	case image.YCbCrSubsampleRatio440:
		return 0, 1, true
	case image.YCbCrSubsampleRatio411:
		return 2, 0, true
	case image.YCbCrSubsampleRatio410:
		return 2, 1, true
	}
	return 0, 0, false
}

func yuvToBGR(dst []byte, p *image.YCbCr, width, height int, c *coefficients) error {
	hs, vs, ok := chromaShift(p.SubsampleRatio)
	chromaWidth := (width + 1<<hs - 1) >> hs
	chromaHeight := (height + 1<<vs - 1) >> vs
	if !ok || len(p.Y) < (height-1)*p.YStride+width ||
		min(len(p.Cb), len(p.Cr)) < (chromaHeight-1)*p.CStride+chromaWidth {
		return fmt.Errorf("camera sent an incomplete picture")
	}
	for y := range height {
		luma := p.Y[y*p.YStride:][:width]
		cb := p.Cb[(y>>vs)*p.CStride:][:chromaWidth]
		cr := p.Cr[(y>>vs)*p.CStride:][:chromaWidth]
		rowToBGR(dst[y*width*3:][:width*3], luma, cb, cr, hs, c)
	}
	return nil
}

func rowToBGR(out, luma, cb, cr []byte, hs int, c *coefficients) {
	var r, g, b int32
	mask := 1<<hs - 1
	for x, l := range luma {
		if x&mask == 0 {
			u, v := int32(cb[x>>hs])-128, int32(cr[x>>hs])-128
			r, g, b = c.redFromCr*v, -c.greenCb*u-c.greenCr*v, c.blueFromCb*u
		}
		base := (int32(l)-c.black)*c.luma + 1<<15
		o := out[3*x : 3*x+3 : 3*x+3]
		o[0], o[1], o[2] = clamp(base+b), clamp(base+g), clamp(base+r)
	}
}

// clamp rounds 16.16 fixed point to a byte.
func clamp(v int32) byte {
	if uint32(v) < 256<<16 {
		return byte(v >> 16)
	}
	if v < 0 {
		return 0
	}
	return 255
}
