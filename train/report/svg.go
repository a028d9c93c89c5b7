package report

import (
	"fmt"
	"image/color"
	"regexp"
	"strings"
)

// fontStyle is what the canvas says about the font of each text; the page's font is used.
var fontStyle = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)

// recolor puts the page's variables in the place of the colours that stand for them.
func recolor(svg string) string {
	places := []string{
		hex(ink), "var(--ink)",
		hex(faintInk), "var(--faint)",
		hex(gridInk), "var(--grid)",
	}
	for i := range seriesColors {
		places = append(places, hex(seriesColor(i)), fmt.Sprintf("var(--s%d)", i))
	}
	svg = strings.NewReplacer(places...).Replace(svg)
	return fontStyle.ReplaceAllString(svg, "")
}

// hex writes a colour as the canvas does.
func hex(c color.Color) string {
	rgb := color.RGBAModel.Convert(c).(color.RGBA)
	return fmt.Sprintf("#%02X%02X%02X", rgb.R, rgb.G, rgb.B)
}
