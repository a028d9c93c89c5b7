package ranks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Process is one of those that train together.
type Process struct {
	Rank int    `json:"rank"`
	PID  int    `json:"pid"`
	Host string `json:"host"`
}

// String names the process, such as "rank 1 (pid 123 on box)".
func (p Process) String() string {
	return fmt.Sprintf("rank %d (pid %d on %s)", p.Rank, p.PID, p.Host)
}

// LostError says which process could not go on, for which reason none can.
type LostError struct {
	Process
	// What happened to it, such as "died".
	What string
}

// Error names the process and the next step.
func (e *LostError) Error() string {
	return fmt.Sprintf("%s %s; restart all ranks with --resume", e.Process, e.What)
}

// message is what processes tell each other: a line of JSON. The first of a connection is
// kindHello to rank 0, the last kindBye or kindLost.
type message struct {
	Kind string `json:"kind"`
	// Process is the sender, or of kindLost the process that was lost.
	Process
	// World and Token are the sender's, of kindHello.
	World int    `json:"world,omitempty"`
	Token string `json:"token,omitempty"`
	// Text is the reason of kindLost.
	Text string `json:"text,omitempty"`
}

const (
	kindHello = "hello"
	kindStart = "start" // all are connected
	kindBeat  = "beat"
	kindBye   = "bye"
	kindLost  = "lost"
)

const (
	// maxText is the length in bytes of the longest reason that is passed on, maxMessage
	// that of the longest message.
	maxText, maxMessage = 1 << 10, 16 << 10
	// goodbye is how long a process that leaves waits for the others to hear of it.
	goodbye = 2 * time.Second
)

// watch tells the processes of each other's end. Each is linked with rank 0, and both ends
// send beats: a connection that breaks without a farewell, or is silent for too long, is the
// other's death. Rank 0 passes on whom it lost.
type watch struct {
	self    Process
	silence time.Duration
	// gone ends at the first loss, which is its cause; lose ends it.
	gone context.Context
	lose context.CancelCauseFunc
	// started is closed when all are linked, finished when all have said farewell.
	started, finished chan struct{}

	wg    sync.WaitGroup
	mu    sync.Mutex
	links []*link
	left  int  // links whose processes have said farewell
	over  bool // a process was lost, or this one leaves
}

// link is the connection with another process.
type link struct {
	peer Process
	conn net.Conn
	in   *bufio.Reader
}

func newLink(conn net.Conn) *link {
	return &link{conn: conn, in: bufio.NewReaderSize(conn, maxMessage)}
}

// send writes a message; a second is far more than a living process needs.
func (l *link) send(m message) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return json.NewEncoder(l.conn).Encode(m)
}

// receive reads a message.
func (l *link) receive() (message, error) {
	line, err := l.in.ReadSlice('\n')
	if err != nil {
		return message{}, err
	}
	var m message
	return m, json.Unmarshal(line, &m)
}

// add begins to watch a process.
func (w *watch) add(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links = append(w.links, l)
	w.wg.Go(func() { w.listen(l) })
}

// listen reads what a process tells until its end, and closes the connection.
func (w *watch) listen(l *link) {
	defer l.conn.Close()
	for bye := false; ; {
		w.allow(l)
		m, err := l.receive()
		switch {
		case err != nil && bye:
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			w.lost(&LostError{l.peer, fmt.Sprintf("has not answered for %v", w.silence)})
			return
		case err != nil:
			w.lost(&LostError{l.peer, "died"})
			return
		case m.Kind == kindLost:
			w.lost(&LostError{m.Process, m.Text})
			return
		case m.Kind == kindBye && !bye:
			bye = true
			w.farewell()
		case m.Kind == kindStart:
			w.start()
		}
	}
}

// start hears that all are linked.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.started:
	default:
		close(w.started)
	}
}

// farewell counts those that have finished.
func (w *watch) farewell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left++; w.left == len(w.links) {
		close(w.finished)
	}
}

// loss returns the first loss, nil if there is none.
func (w *watch) loss() *LostError {
	var lost *LostError
	errors.As(context.Cause(w.gone), &lost)
	return lost
}

// finish says that this process needs the others no more, and waits until they say the same.
func (w *watch) finish() {
	if w.self.Rank != 0 { // which speaks last
		w.mu.Lock()
		if !w.over {
			w.tell(message{Kind: kindBye, Process: w.self})
		}
		w.mu.Unlock()
	}
	select {
	case <-w.finished:
	case <-w.gone.Done():
	}
}

// allow gives a process time for its next message.
func (w *watch) allow(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	within := w.silence
	if w.over {
		within = goodbye
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(within)) // fails on closed connections, as receive will
}

// lost tells everybody of the first loss.
func (w *watch) lost(err *LostError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.lose(err)
		w.end(message{Kind: kindLost, Process: err.Process, Text: err.What})
	}
}

// leave says farewell, and returns when the others know.
func (w *watch) leave(m message) {
	w.mu.Lock()
	if !w.over {
		w.end(m)
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// end sends a last message to all.
func (w *watch) end(m message) {
	w.over = true
	m.Text = m.Text[:min(len(m.Text), maxText)]
	w.tell(m)
	for _, l := range w.links {
		// Closing at once would discard what the other has not read yet, were there something
		// that this end has not read. The other closes once it has read this.
		if half, ok := l.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_ = l.conn.SetReadDeadline(time.Now().Add(goodbye))
	}
}

// tell sends a message to all. Whoever cannot be reached is found out by listen.
func (w *watch) tell(m message) {
	for _, l := range w.links {
		_ = l.send(m)
	}
}

// beat shows the others that this process lives, until ctx ends.
func (w *watch) beat(ctx context.Context) {
	tick := time.NewTicker(w.silence / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.mu.Lock()
			if !w.over {
				w.tell(message{Kind: kindBeat, Process: w.self})
			}
			w.mu.Unlock()
		}
	}
}
