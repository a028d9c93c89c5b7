package ranks_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/ranks"
	"github.com/robustnet-edge/robustnet/train/ranks/rankstest"
	"github.com/robustnet-edge/robustnet/train/torch"
)

func TestMain(m *testing.M) {
	rankstest.Main(m, rankstest.Roles{"meet": meet, "work": work, "fail": fail, "compute": compute})
}

// meet exchanges one number.
func meet(_ context.Context, lib *torch.Library, g *torch.Group) error {
	return lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		x := s.FromInt64([]int64{1 << g.Rank()}, 1)
		s.AllReduce(g, x)
		if got := s.Int64s(x); s.Err() == nil && got[0] != 1<<g.World()-1 {
			return fmt.Errorf("the sum is %b", got)
		}
		return s.Err()
	})
}

// work exchanges tensors for ever, which is first said when that goes on.
func work(_ context.Context, lib *torch.Library, g *torch.Group) error {
	return lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		x := s.Ones(torch.Float32, 1000)
		for i := 0; s.Err() == nil; i++ {
			s.AllReduce(g, x)
			if i == 10 {
				fmt.Println("working")
			}
		}
		return s.Err()
	})
}

// fail is work, save for rank 1.
func fail(ctx context.Context, lib *torch.Library, g *torch.Group) error {
	if g.Rank() == 1 {
		return errors.New("the disk is full")
	}
	return work(ctx, lib, g)
}

// compute does not exchange anything until it is told that the training is over.
func compute(ctx context.Context, _ *torch.Library, _ *torch.Group) error {
	fmt.Println("working")
	<-ctx.Done()
	return ctx.Err()
}

func TestOneProcess(t *testing.T) {
	called := errors.New("called")
	err := ranks.Run(t.Context(), nil, ranks.Config{World: 1}, ranks.Options{}, func(_ context.Context, g *torch.Group) error {
		if g != nil {
			t.Error("a process by itself has a group")
		}
		return called
	})
	if err != called {
		t.Error(err)
	}
}

func TestRanksMeet(t *testing.T) {
	rankstest.Succeed(t, rankstest.Start(t, "meet", 3))
}

// TestRankDies kills or stops one of three processes while they exchange tensors, or compute.
func TestRankDies(t *testing.T) {
	for name, c := range map[string]struct {
		role   string
		victim int
		signal os.Signal
		want   string
	}{
		"rank 1 killed":       {"work", 1, syscall.SIGKILL, "died"},
		"rank 0 killed":       {"work", 0, syscall.SIGKILL, "died"},
		"rank 0 stopped":      {"work", 0, syscall.SIGSTOP, "has not answered for 3s"},
		"killed in computing": {"compute", 2, syscall.SIGKILL, "died"},
	} {
		t.Run(name, func(t *testing.T) {
			all := rankstest.Start(t, c.role, 3)
			for _, p := range all {
				p.Line()
			}
			if err := all[c.victim].Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			host, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("rank %d (pid %d on %s) %s; restart all ranks with --resume", c.victim, all[c.victim].Process.Pid, host, c.want)
			for rank, p := range all {
				if rank == c.victim {
					continue
				}
				if err := p.End(); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
					t.Errorf("rank %d: %v\nwant %s", rank, err, want)
				}
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("the others ended after %v", took)
			}
		})
	}
}

func TestRankFails(t *testing.T) {
	all := rankstest.Start(t, "fail", 3)
	for rank, p := range all {
		want := fmt.Sprintf("rank 1 (pid %d on ", all[1].Process.Pid)
		if rank == 1 {
			want = "exit status 1: the disk is full"
		}
		if err := p.End(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("rank %d: %v; want %s…", rank, err, want)
		}
	}
}

func TestRankIsMissing(t *testing.T) {
	t.Run("others", func(t *testing.T) {
		p := rankstest.StartRank(t, "meet", rankstest.FreeAddress(t), 0, 3, time.Second)
		if err := p.End(); err == nil || !strings.Contains(err.Error(), "2 missing, rank 1, 2: not all came within 1s") {
			t.Error(err)
		}
	})
	t.Run("rank 0", func(t *testing.T) {
		p := rankstest.StartRank(t, "meet", rankstest.FreeAddress(t), 1, 2, time.Second)
		if err := p.End(); err == nil || !strings.Contains(err.Error(), "reach rank 0: not all came within 1s") {
			t.Error(err)
		}
	})
	t.Run("address in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p := rankstest.StartRank(t, "meet", l.Addr().String(), 0, 2, time.Minute)
		if err := p.End(); err == nil || !strings.Contains(err.Error(), "ddress already in use") {
			t.Error(err)
		}
	})
}

// TestStrangersAreRefused starts processes that do not belong to the others; those meet all
// the same.
func TestStrangersAreRefused(t *testing.T) {
	address := rankstest.FreeAddress(t)
	zero := rankstest.StartRank(t, "meet", address, 0, 3, time.Minute)
	other := rankstest.StartRank(t, "meet", address, 1, 2, time.Minute)
	if err := other.End(); err == nil || !strings.Contains(err.Error(), "its WORLD_SIZE is 2, that of rank 0 is 3") {
		t.Errorf("another world: %v", err)
	}
	one, another := rankstest.StartRank(t, "meet", address, 1, 3, time.Minute), rankstest.StartRank(t, "meet", address, 1, 3, time.Minute)
	// Whichever came second is told.
	refused := make(chan error, 2)
	for _, p := range []*rankstest.Process{one, another} {
		go func() { refused <- p.End() }()
	}
	if err := <-refused; err == nil || !strings.Contains(err.Error(), "there is a rank 1 already") {
		t.Errorf("a rank twice: %v", err)
	}
	two := rankstest.StartRank(t, "meet", address, 2, 3, time.Minute)
	rankstest.Succeed(t, []*rankstest.Process{zero, two})
	if err := <-refused; err != nil {
		t.Error(err)
	}
}
