// Package scene draws procedural street scenes as seen by a car's camera, with an exact
// label map for every picture.
//
// A [Scene] is an endless street that follows from its seed alone: lanes, markings,
// junctions, pavements, houses, trees, lamps, signs, parked and moving vehicles,
// pedestrians and cyclists. The camera drives along it. A [Style] changes light and
// weather, never a label, so the same seed in two styles is the same street twice.
//
// Pictures depend on nothing but [Options] and the frame number: the world is cut into
// blocks whose content is hashed from the seed, and everything that moves is a function
// of time. Frames can therefore be drawn in any order.
package scene

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Style is a condition of light and weather.
type Style int

// The styles.
const (
	Day Style = iota
	Dusk
	Night
	Fog
	Rain
	Snow
	numStyles
)

var styleNames = [numStyles]string{"day", "dusk", "night", "fog", "rain", "snow"}

// Styles returns all styles.
func Styles() []Style { return []Style{Day, Dusk, Night, Fog, Rain, Snow} }

// String returns the style's name in lower case.
func (s Style) String() string {
	if s < 0 || s >= numStyles {
		return fmt.Sprintf("Style(%d)", int(s))
	}
	return styleNames[s]
}

// ErrStyle is wrapped by [ParseStyle] when there is no such style.
var ErrStyle = errors.New("unknown style")

// ParseStyle is the inverse of [Style.String].
func ParseStyle(name string) (Style, error) {
	for i, n := range styleNames {
		if n == name {
			return Style(i), nil
		}
	}
	return 0, fmt.Errorf("%w %q: choose one of %s", ErrStyle, name, strings.Join(styleNames[:], ", "))
}

// Options say which street to draw and how.
type Options struct {
	// Width and Height are the picture's size in pixels: even, 64 to 4096.
	Width, Height int
	// FPS is how many frames make one second of the street's time: 0.001 to 1000.
	FPS   float64
	Style Style
	// Seed chooses the street. Every value is a different one.
	Seed uint64
}

// ErrOptions is wrapped by the errors of [New].
var ErrOptions = errors.New("scene options")

func (o Options) validate() error {
	for _, side := range []int{o.Width, o.Height} {
		if side < 64 || side > 4096 || side%2 != 0 {
			return fmt.Errorf("%w: size %dx%d: both sides must be even and within 64..4096", ErrOptions, o.Width, o.Height)
		}
	}
	if !(o.FPS >= 1e-3 && o.FPS <= 1000) {
		return fmt.Errorf("%w: %g frames per second: must be within 0.001..1000", ErrOptions, o.FPS)
	}
	if o.Style < 0 || o.Style >= numStyles {
		return fmt.Errorf("%w: no such style: %v", ErrOptions, o.Style)
	}
	return nil
}

// wrap is how many seconds the street lasts before it begins anew: 48 days.
const wrap = 1 << 22

// Scene draws one street in one style. It is not safe for concurrent use.
type Scene struct {
	opt Options
	raster
	street  street
	look    look
	art     art
	blocks  [blockCache]block
	ground  groundArt
	scratch facade // of the fence in hand

	view  view
	t     float64 // seconds
	items []item
	bulbs []bulb
	film  film
}

// New prepares a street. It costs some tens of milliseconds, for the textures.
func New(o Options) (*Scene, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Scene{opt: o, raster: newRaster(o.Width, o.Height)}
	s.street = newStreet(o.Seed)
	s.art = newArt(o.Seed)
	s.dressAs(o.Style)
	s.items = make([]item, 0, 2048)
	s.bulbs = make([]bulb, 0, 1024)
	return s, nil
}

// SetStyle changes the style, leaving the street as it is. It costs far less than a new
// Scene, and afterwards the pictures are those of a Scene made in that style. It fails
// only for a style that does not exist.
func (s *Scene) SetStyle(style Style) error {
	o := s.opt
	o.Style = style
	if err := o.validate(); err != nil {
		return err
	}
	s.opt = o
	s.dressAs(style)
	return nil
}

// dressAs prepares all that depends on the style.
func (s *Scene) dressAs(style Style) {
	s.look = newLook(style, s.opt.Seed)
	s.ground = s.newGroundArt()
	s.film = s.newFilm()
	for i := range s.blocks { // their colours are mixed for the style
		s.blocks[i].index = math.MinInt
	}
}

// Options returns what the scene was made from.
func (s *Scene) Options() Options { return s.opt }

// Render draws the n-th frame since the beginning into bgr, Height rows of Width pixels
// of three bytes (blue, green, red), and, unless labels is nil, its class ids into labels,
// Height rows of Width bytes. Longer slices keep their tails; shorter ones panic.
// Steady rendering does not allocate.
func (s *Scene) Render(n int, bgr, labels []byte) {
	s.begin(n)
	s.drawSky()
	s.drawGround()
	s.collect()
	s.drawShadows()
	s.drawItems()
	s.develop(n, bgr[:3*s.w*s.h])
	s.precipitate(n, bgr[:3*s.w*s.h])
	if labels != nil {
		labels = labels[:s.w*s.h]
		for i, p := range s.pix {
			labels[i] = byte(p >> classShift)
		}
	}
}

// begin puts the camera where it is at frame n.
func (s *Scene) begin(n int) {
	t := math.Mod(float64(n)/s.opt.FPS, wrap)
	if t < 0 {
		t += wrap
	}
	s.t = t
	st := &s.street
	sway := math.Sin(float64(t*0.37)) + math.Sin(float64(t*0.91))
	yaw := st.yaw + float64(0.006*sway)
	bounce := math.Sin(float64(t*7.1))*0.6 + math.Sin(float64(t*11.3))*0.4
	f := st.focal * float64(s.w)
	s.view = view{
		x: st.egoX + float64(0.12*math.Sin(float64(t*0.53))),
		h: st.cameraHeight, z: st.egoZ(t),
		sin: math.Sin(yaw), cos: math.Cos(yaw),
		f: f, cx: float64(s.w)/2 + 0.013,
		horizon: math.Floor(float64(s.h)*st.horizon+float64(f*0.0016*bounce)) + 0.25,
	}
}
