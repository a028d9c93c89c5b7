// Package rankstest starts processes that train together, for tests. The processes are the
// test program itself, in roles that [Main] knows:
//
//	func TestMain(m *testing.M) {
//		rankstest.Main(m, rankstest.Roles{"sum": sum})
//	}
//
//	func TestSum(t *testing.T) {
//		rankstest.Succeed(t, rankstest.Start(t, "sum", 2))
//	}
package rankstest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/ranks"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// Silence is after how long without a sign of life the processes count as dead.
const Silence = 3 * time.Second

// Role is what a process does with its group. [Process.Line] reads what it prints.
type Role func(ctx context.Context, lib *torch.Library, g *torch.Group) error

// Roles are the roles of a test program, by name.
type Roles map[string]Role

const roleVariable = "RANKSTEST_ROLE"

// Main is for TestMain: it runs the tests or, in a process that [Start] has started, the role.
func Main(m *testing.M, roles Roles) {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(role Role) error {
	c, err := ranks.FromEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	lib, err := torch.Load("")
	if err != nil {
		return err
	}
	patience, err := time.ParseDuration(os.Getenv("RANKSTEST_PATIENCE"))
	if err != nil {
		return err
	}
	o := ranks.Options{Patience: patience, Silence: Silence}
	return ranks.Run(context.Background(), lib, c, o, func(ctx context.Context, g *torch.Group) error {
		return role(ctx, lib, g)
	})
}

// Process is one of the processes.
type Process struct {
	*exec.Cmd

	tb     testing.TB
	stdout *bufio.Reader
	stderr strings.Builder
}

// Start starts world processes in a role. They end with the test at the latest. Tests are
// skipped where libtorch is not there.
func Start(tb testing.TB, role string, world int) []*Process {
	tb.Helper()
	address := FreeAddress(tb)
	var all []*Process
	for rank := range world {
		all = append(all, StartRank(tb, role, address, rank, world, time.Minute))
	}
	return all
}

// StartRank starts one process that waits so long for the others to join it at an address.
func StartRank(tb testing.TB, role, address string, rank, world int, patience time.Duration) *Process {
	tb.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Process{Cmd: exec.Command(os.Args[0]), tb: tb}
	p.Env = append(os.Environ(), roleVariable+"="+role, "RANKSTEST_PATIENCE="+patience.String(),
		"ROBUSTNET_TORCH_LIBRARY="+torchtest.Path(tb), "MASTER_ADDR="+host, "MASTER_PORT="+port,
		"WORLD_SIZE="+strconv.Itoa(world), "RANK="+strconv.Itoa(rank))
	p.Stderr = &p.stderr
	out, err := p.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// Line returns the next line that the process prints, and fails the test where it ends.
func (p *Process) Line() string {
	p.tb.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		p.tb.Fatalf("a process ended early: %v", p.End())
	}
	return strings.TrimSuffix(line, "\n")
}

// End waits for the end of the process. The error has what it wrote to its standard error.
func (p *Process) End() error {
	_, _ = io.Copy(io.Discard, p.stdout)
	if err := p.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(p.stderr.String()))
	}
	return nil
}

// Succeed waits for the ends of processes, none of which may fail.
func Succeed(tb testing.TB, all []*Process) {
	tb.Helper()
	for rank, p := range all {
		if err := p.End(); err != nil {
			tb.Errorf("rank %d: %v", rank, err)
		}
	}
}

// FreeAddress returns an address of this machine that nobody listened at a moment ago.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
