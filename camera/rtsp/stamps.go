package rtsp

import "time"

// stamp is when a picture arrived, and its place in the stream's time line.
type stamp struct {
	arrived time.Time
	pts     time.Duration
}

const (
	// maxPending bounds the stamps. While the decoder starts, several seconds of small pictures
	// fit into the pipe.
	maxPending = 512
	// maxReorder is the most pictures that a decoder may hold back to reorder them (H.264
	// section A.3.1, H.265 section A.4).
	maxReorder = 16
	// resyncAfter is how many pictures in a row must leave stamps over before those are taken
	// for stamps of lost pictures.
	resyncAfter = 64
)

// stamps are those of the pictures that went into a decoder and have not come out. They are
// matched by order only, because the decoder passes no time on.
type stamps struct {
	queue     []stamp
	reordered bool // the stream has pictures that are not sent in the order they are shown
	last      stamp
	popped    int // since the last check for lost pictures
	leftover  int // least number of stamps after a pop since then
}

func (s *stamps) push(in stamp) {
	if n := len(s.queue); n > 0 && in.pts < s.queue[n-1].pts {
		s.reordered = true
	}
	if len(s.queue) == maxPending {
		s.drop(1)
	}
	s.queue = append(s.queue, in)
}

// pop returns the stamp of the next picture: pictures come out in the order in which they are
// shown.
func (s *stamps) pop() stamp {
	if len(s.queue) == 0 { // a picture that was taken for lost, or a second field
		return stamp{arrived: time.Now(), pts: s.last.pts}
	}
	first := 0
	for i, in := range s.queue {
		if in.pts < s.queue[first].pts {
			first = i
		}
	}
	s.last = s.queue[first]
	s.queue = append(s.queue[:first], s.queue[first+1:]...)
	s.resync()
	return s.last
}

// resync drops the stamps of pictures that the decoder gave up. Without reordering, a decoder
// that keeps up is empty now and then.
func (s *stamps) resync() {
	if s.popped == 0 || len(s.queue) < s.leftover {
		s.leftover = len(s.queue)
	}
	if s.popped++; s.popped < resyncAfter {
		return
	}
	held := 0
	if s.reordered {
		held = maxReorder
	}
	s.drop(max(0, s.leftover-held))
	s.popped = 0
}

func (s *stamps) drop(n int) { s.queue = append(s.queue[:0], s.queue[n:]...) }
