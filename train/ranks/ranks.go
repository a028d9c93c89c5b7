package ranks

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// Options say how the processes come together. The zero value is what training wants.
type Options struct {
	// Device is where the tensors are that the processes exchange.
	Device torch.Device
	// Patience is how long to wait for the others to join; 0 is ten minutes.
	Patience time.Duration
	// Silence is after how long without a sign of life a process counts as dead; 0 is 20 s. A
	// process that was killed is missed at once.
	Silence time.Duration
}

// Run joins the processes of c, which all call it, calls f with their group, and leaves. With
// one process by itself the group is nil.
//
// When a process dies, stops answering or fails, the operations of the group fail for the
// others, the context of f ends, and Run returns a [LostError] that names it. The process
// with the failure gets f's own error. Where f has returned nil, Run waits for the others.
func Run(ctx context.Context, lib *torch.Library, c Config, o Options, f func(context.Context, *torch.Group) error) error {
	if c.Alone() {
		return f(ctx, nil)
	}
	o.Patience, o.Silence = cmp.Or(o.Patience, 10*time.Minute), cmp.Or(o.Silence, 20*time.Second)
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("join ranks: %w", err)
	}
	// A training that is interrupted, and ends in good order, still needs the others.
	gone, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	defer lose(nil)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(gone, func() { cancel(context.Cause(gone)) })()
	m := &member{Config: c, Options: o, lib: lib, watch: &watch{
		self:    Process{Rank: c.Rank, PID: os.Getpid(), Host: host},
		silence: o.Silence, gone: gone, lose: lose,
		started: make(chan struct{}), finished: make(chan struct{}),
	}}
	err = m.run(ctx, f)
	last := message{Kind: kindBye, Process: m.watch.self}
	if err != nil {
		last.Kind, last.Text = kindLost, "failed: "+err.Error()
	}
	m.watch.leave(last)
	return err
}

// member is this process among the others.
type member struct {
	Config
	Options
	lib   *torch.Library
	watch *watch
}

func (m *member) run(ctx context.Context, f func(context.Context, *torch.Group) error) error {
	joining, joined := context.WithTimeoutCause(ctx, m.Patience, fmt.Errorf("not all came within %v", m.Patience))
	defer joined()
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	m.watch.wg.Go(func() { m.watch.beat(beating) })

	host, err := localHost(m.Address)
	if err != nil {
		return fmt.Errorf("join ranks: %w", err)
	}
	store, err := m.openStore(joining)
	if err != nil {
		return fmt.Errorf("join ranks at %s: %w", m.Address, err)
	}
	if m.Rank == 0 {
		err = m.gather(joining, store, host)
	} else {
		err = m.report(joining, store)
	}
	var group *torch.Group
	if err == nil {
		group, err = m.join(joining, store, host)
	}
	if err != nil {
		// The store stays: libtorch may still be using it.
		return m.explain(fmt.Errorf("join ranks at %s: %w", m.Address, err))
	}
	defer store.Close()
	defer group.Close()
	defer context.AfterFunc(m.watch.gone, func() { group.Abort(m.watch.loss()) })()
	if err := f(ctx, group); err != nil {
		return m.explain(err)
	}
	// What this process has sent last may not have arrived, and closing would discard it.
	m.watch.finish()
	return nil
}

// explain returns the loss behind a failure of the group or of what f was told to end for. The
// group may notice that a process died before the watch does.
func (m *member) explain(err error) error {
	var op *torch.OpError
	switch {
	case errors.As(err, &op) || errors.Is(err, torch.ErrGroup):
		select {
		case <-m.watch.gone.Done():
		case <-time.After(min(m.Silence, 5*time.Second)):
		}
	case !errors.Is(err, context.Canceled):
		return err
	}
	if lost := m.watch.loss(); lost != nil {
		return lost
	}
	return err
}

// retry is the pause between attempts to reach another process.
const retry = 50 * time.Millisecond

// pause waits before the next attempt; an error says why there is none.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(retry):
		return nil
	}
}

// openStore serves the store, or waits until it is served.
func (m *member) openStore(ctx context.Context) (*torch.Store, error) {
	serve := m.Rank == 0 && !m.Served
	for !serve {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Address)
		if err == nil {
			conn.Close()
			break
		}
		if stop := pause(ctx); stop != nil {
			return nil, fmt.Errorf("reach rank 0: %w: %w; start all ranks, with the same MASTER_ADDR and MASTER_PORT", stop, err)
		}
	}
	return m.lib.OpenStore(m.Address, serve, "robustnet/"+m.Attempt, m.Patience)
}

// meeting is where rank 0 awaits the others, as the store tells them.
type meeting struct {
	Address string `json:"address"`
	Token   string `json:"token"`
	Process        // rank 0
}

const meetingKey = "meeting"

// gather awaits all other processes.
func (m *member) gather(ctx context.Context, store *torch.Store, host string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	here := meeting{listener.Addr().String(), rand.Text(), m.watch.self}
	text, err := json.Marshal(here)
	if err != nil {
		return err
	}
	if err := store.Set(meetingKey, text); err != nil {
		return err
	}
	missing := map[int]bool{}
	for r := 1; r < m.World; r++ {
		missing[r] = true
	}
	for len(missing) > 0 {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", listRanks(missing), context.Cause(ctx))
		}
		if err != nil {
			return err
		}
		l := newLink(conn)
		if err := m.admit(l, here.Token, missing); err != nil {
			_ = l.send(message{Kind: kindLost, Process: m.watch.self, Text: "refused: " + err.Error()})
			conn.Close()
			continue
		}
		delete(missing, l.peer.Rank)
		m.watch.add(l)
	}
	m.watch.mu.Lock()
	defer m.watch.mu.Unlock()
	m.watch.tell(message{Kind: kindStart, Process: m.watch.self})
	return nil
}

// admit hears who is there.
func (m *member) admit(l *link, token string, missing map[int]bool) error {
	if err := l.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	hello, err := l.receive()
	switch {
	case err != nil:
		return err
	case hello.Kind != kindHello || hello.Token != token:
		return errors.New("it is not one of these ranks")
	case hello.World != m.World:
		return fmt.Errorf("its WORLD_SIZE is %d, that of rank 0 is %d", hello.World, m.World)
	case !missing[hello.Rank]:
		return fmt.Errorf("there is a rank %d already", hello.Rank)
	}
	l.peer = hello.Process
	return nil
}

// report tells rank 0 that this process is there, and waits for the others.
func (m *member) report(ctx context.Context, store *torch.Store) error {
	var there meeting
	for there.Address == "" {
		text, err := store.Get(meetingKey)
		if err != nil {
			return err
		}
		if text == nil {
			err = pause(ctx)
		} else {
			err = json.Unmarshal(text, &there)
		}
		if err != nil {
			return fmt.Errorf("meet rank 0: %w", err)
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", there.Address)
	if err != nil {
		return fmt.Errorf("reach rank 0: %w; give all ranks a MASTER_ADDR of the machine of rank 0 that the others can reach", err)
	}
	l := newLink(conn)
	l.peer = there.Process
	hello := message{Kind: kindHello, Process: m.watch.self, World: m.World, Token: there.Token}
	if err := l.send(hello); err != nil {
		conn.Close()
		return fmt.Errorf("report to rank 0: %w", err)
	}
	m.watch.add(l)
	select {
	case <-m.watch.started:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the other ranks: %w", context.Cause(ctx))
	}
}

// join connects the group. libtorch cannot be interrupted in this: when a process is lost
// meanwhile, a goroutine and the store are left behind, and this process is about to end.
func (m *member) join(ctx context.Context, store *torch.Store, host string) (*torch.Group, error) {
	type result struct {
		group *torch.Group
		err   error
	}
	done := make(chan result, 1)
	go func() {
		g, err := m.lib.Join(store, torch.GroupOptions{Rank: m.Rank, World: m.World, Device: m.Device, Host: host, Timeout: collectiveTimeout})
		done <- result{g, err}
	}()
	select {
	case r := <-done:
		return r.group, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// collectiveTimeout leaves the end of operations that hang to the watch: one rank may have a
// long validation to itself.
const collectiveTimeout = 24 * time.Hour

// localHost returns the address of this machine from which it reaches another one.
func localHost(address string) (string, error) {
	conn, err := net.Dial("udp4", address) // sends nothing
	if err != nil {
		if conn, err = net.Dial("udp", address); err != nil {
			return "", err
		}
	}
	defer conn.Close()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	return host, err
}

// listRanks names the ranks that are missing, shortened.
func listRanks(missing map[int]bool) string {
	var names []string
	for r := range 1 << 10 {
		if missing[r] && len(names) < 8 {
			names = append(names, fmt.Sprint(r))
		}
	}
	return fmt.Sprintf("%d missing, rank %s", len(missing), strings.Join(names, ", "))
}
