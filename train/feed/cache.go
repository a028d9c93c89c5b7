package feed

import (
	"sync"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
)

// cache keeps the pictures that were read first, until its memory is used up. As each picture
// is drawn about as often as others, exchanging them would not help.
type cache struct {
	mu       sync.Mutex
	free     int64
	pictures map[place]*data.Picture
}

// read returns a picture that must not be changed.
func (c *cache) read(at place) (*data.Picture, error) {
	c.mu.Lock()
	p := c.pictures[at]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := at.set.Read(at.index)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	bytes := int64(len(p.RGB) + len(p.Labels))
	if _, ok := c.pictures[at]; !ok && bytes <= c.free {
		if c.pictures == nil {
			c.pictures = map[place]*data.Picture{}
		}
		c.pictures[at] = p
		c.free -= bytes
	}
	return p, nil
}

// stylesBytes bounds the memory for styles: those of 20,000 pictures for FDA with the smallest
// published frequencies and crops of 768 pixels.
const stylesBytes = 64 << 20

// styles keeps the styles of the target pictures that were used first.
type styles struct {
	mu   sync.Mutex
	used int64
	seen map[int]augment.Style
}

func (s *styles) of(r augment.Recipe, targets *data.Set, index int) (augment.Style, error) {
	s.mu.Lock()
	style, ok := s.seen[index]
	s.mu.Unlock()
	if ok {
		return style, nil
	}
	p, err := targets.Read(index)
	if err != nil {
		return style, err
	}
	style = r.FDA.Style(p, r.CropSide, r.CropSide)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[index]; !ok && s.used+style.Bytes() <= stylesBytes {
		if s.seen == nil {
			s.seen = map[int]augment.Style{}
		}
		s.seen[index] = style
		s.used += style.Bytes()
	}
	return style, nil
}
