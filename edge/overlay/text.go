package overlay

import (
	"image"
	"image/color"
	"math"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/trt"
)

// font holds the printable ASCII characters, drawn once by OpenCV, because drawing text
// there converts a Go string for every call.
type font struct {
	glyphs  [glyphLast - glyphFirst + 1]glyph
	height  int // of a line, in pixels
	padding int
}

// glyph is a character's coverage, 0..255, in rows of width pixels.
type glyph struct {
	coverage []byte
	width    int
}

const (
	glyphFirst = ' '
	glyphLast  = '~'
	fontFace   = gocv.FontHersheyDuplex
	// baseHeight is the picture height for which the font's own size 0.5 reads well.
	baseHeight = 720
)

func newFont(pictureHeight int) *font {
	scale := max(0.35, 0.55*float64(pictureHeight)/baseHeight)
	thickness := max(1, int(math.Round(scale)))
	extent, baseline := gocv.GetTextSizeWithBaseline("Ag|", fontFace, scale, thickness)
	f := &font{height: extent.Y + baseline + thickness, padding: max(2, extent.Y/2)}
	for c := range f.glyphs {
		text := string(rune(glyphFirst + c))
		width := gocv.GetTextSize(text, fontFace, scale, thickness).X
		m := gocv.Zeros(f.height, max(1, width), gocv.MatTypeCV8UC1)
		gocv.PutTextWithParams(&m, text, image.Pt(0, extent.Y), fontFace, scale,
			color.RGBA{R: 255, G: 255, B: 255, A: 255}, thickness, gocv.LineAA, false)
		f.glyphs[c] = glyph{coverage: m.ToBytes(), width: m.Cols()}
		m.Close()
	}
	return f
}

func (f *font) glyph(c byte) *glyph {
	if c < glyphFirst || c > glyphLast {
		c = '?'
	}
	return &f.glyphs[c-glyphFirst]
}

func (f *font) width(text []byte) int {
	w := 0
	for _, c := range text {
		w += f.glyph(c).width
	}
	return w
}

// drawLine writes text on a dark strip in the lower left corner, where a road picture has
// least to show.
func (f *font) drawLine(p *Picture, text []byte) {
	h := f.height + f.padding
	if h > p.Height {
		return
	}
	box := image.Rect(0, p.Height-h, f.width(text)+2*f.padding, p.Height).Intersect(image.Rect(0, 0, p.Width, p.Height))
	darken(p, box)
	f.draw(p, image.Pt(f.padding, p.Height-h+f.padding/2), text)
}

// draw writes text in white with its upper left corner at the given point; what lies
// outside the picture is cut off.
func (f *font) draw(p *Picture, at image.Point, text []byte) {
	x := at.X
	for _, c := range text {
		g := f.glyph(c)
		if x+g.width > p.Width {
			return
		}
		for y := range min(f.height, p.Height-at.Y) {
			cover := g.coverage[y*g.width : (y+1)*g.width]
			row := p.Pix[((at.Y+y)*p.Width+x)*3:]
			for i, a := range cover {
				if a == 0 {
					continue
				}
				px := row[i*3 : i*3+3]
				for k, v := range px {
					px[k] = byte((int(v)*(255-int(a)) + 255*int(a)) / 255)
				}
			}
		}
		x += g.width
	}
}

// darken takes the box down to three eighths of its brightness, so that white text reads
// on any picture.
func darken(p *Picture, box image.Rectangle) {
	for y := box.Min.Y; y < box.Max.Y; y++ {
		row := p.Pix[(y*p.Width+box.Min.X)*3 : (y*p.Width+box.Max.X)*3]
		for i, v := range row {
			row[i] = byte(int(v) * 3 / 8)
		}
	}
}

// legend is the list of classes in the upper right corner.
type legend struct {
	font    *font
	entries []legendEntry
	size    image.Point
}

type legendEntry struct {
	name []byte
	bgr  [3]byte
}

func newLegend(f *font, classes []trt.Class) *legend {
	l := &legend{font: f}
	widest := 0
	for _, c := range classes {
		name := []byte(c.Name)
		l.entries = append(l.entries, legendEntry{name: name, bgr: [3]byte{c.Color[2], c.Color[1], c.Color[0]}})
		widest = max(widest, f.width(name))
	}
	l.size = image.Pt(f.height+3*f.padding+widest, f.height*len(classes)+2*f.padding)
	return l
}

func (l *legend) draw(p *Picture) {
	f := l.font
	box := image.Rect(p.Width-l.size.X, 0, p.Width, l.size.Y).Intersect(image.Rect(0, 0, p.Width, p.Height))
	if box.Dx() < l.size.X || box.Dx()*2 > p.Width {
		return // a picture this small would be covered by its legend
	}
	darken(p, box)
	swatch := f.height - f.height/4
	for i, e := range l.entries {
		at := box.Min.Add(image.Pt(f.padding, f.padding+i*f.height))
		if at.Y+f.height > box.Max.Y {
			return
		}
		for y := range swatch {
			row := p.Pix[((at.Y+y)*p.Width+at.X)*3:]
			for x := range swatch {
				copy(row[x*3:x*3+3], e.bgr[:])
			}
		}
		f.draw(p, at.Add(image.Pt(f.height+f.padding, 0)), e.name)
	}
}
