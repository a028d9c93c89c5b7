package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

const service = "robustnet-edge.service"

// command runs a program; the error has the end of what it wrote.
func command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	said, err := cmd.CombinedOutput()
	if err != nil {
		const enough = 400
		end := strings.TrimSpace(string(said[max(0, len(said)-enough):]))
		return string(said), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.ReplaceAll(end, "\n", " | "))
	}
	return strings.TrimSpace(string(said)), nil
}

// commands runs programs given as lines of words, until one fails.
func commands(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		words := strings.Fields(line)
		if _, err := command(ctx, words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// until asks again until the answer is yes. The error has the last reason for a no.
func until(ctx context.Context, what string, ask func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; {
		ok, err := ask()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("not within %.0f s: %s: %w", time.Since(start).Seconds(), what, err)
		case <-tick.C:
		}
	}
}

// unit is a state of a unit of systemd.
type unit struct {
	active   string
	pid      string
	restarts int
}

func (u unit) String() string {
	return fmt.Sprintf("%s, process %s, restarted %d times", u.active, u.pid, u.restarts)
}

func stateOf(ctx context.Context, name string) (unit, error) {
	said, err := command(ctx, "systemctl", "show", "-p", "ActiveState,MainPID,NRestarts", name)
	if err != nil {
		return unit{}, err
	}
	var u unit
	for line := range strings.Lines(said) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ActiveState":
			u.active = value
		case "MainPID":
			u.pid = value
		case "NRestarts":
			if u.restarts, err = strconv.Atoi(value); err != nil {
				return u, fmt.Errorf("systemctl show %s: %w", name, err)
			}
		}
	}
	return u, nil
}

// becomes waits until a unit is in a state.
func becomes(ctx context.Context, name, active string) error {
	var last unit
	err := until(ctx, name+" is "+active, func() (ok bool, err error) {
		last, err = stateOf(ctx, name)
		return last.active == active, err
	})
	if err != nil {
		return fmt.Errorf("%w; it is %v", err, last)
	}
	return nil
}

// mark is a place in the journal.
type mark string

func markJournal(ctx context.Context) (mark, error) {
	said, err := command(ctx, "journalctl", "-n", "0", "--show-cursor", "-q")
	_, cursor, ok := strings.Cut(said, "cursor: ")
	if err == nil && !ok {
		err = errors.New("journalctl: no cursor")
	}
	return mark(strings.TrimSpace(cursor)), err
}

// journalHas waits until the unit's journal, or systemd's about it, has a line with a text since
// the mark, and returns that line.
func journalHas(ctx context.Context, since mark, text string) (string, error) {
	var line string
	err := until(ctx, "the journal has "+strconv.Quote(text), func() (bool, error) {
		said, err := command(ctx, "journalctl", "-q", "-o", "cat", "--after-cursor", string(since), "-u", service)
		for l := range strings.Lines(said) {
			if strings.Contains(l, text) {
				line = strings.TrimSpace(l)
				return true, err
			}
		}
		return false, err
	})
	return line, err
}

// exists waits until there is a file, or none.
func exists(ctx context.Context, path string, want bool) error {
	what := path + " is there"
	if !want {
		what = path + " is gone"
	}
	return until(ctx, what, func() (bool, error) {
		_, err := os.Lstat(path)
		if err != nil && !os.IsNotExist(err) {
			return false, err
		}
		return (err == nil) == want, nil
	})
}

// restore takes back what a scenario that failed may have left, as far as the package is there:
// one camera is plugged in, and the daemon runs with settings for it.
func restore() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := os.Stat("/usr/bin/robustnet-edge"); err != nil {
		return nil
	}
	// What is not there cannot be taken back: these may fail.
	for _, line := range []string{
		"systemctl stop robustnet-edge@video0.service " + service, "umount " + smallDisk, "rmmod vivid",
		"rm -rf " + frozen + " " + overridesFile + " " + namedCamera,
	} {
		if err := commands(ctx, line); err != nil {
			fmt.Fprintln(os.Stderr, "guest:", err)
		}
	}
	return errorsOf(commands(ctx, "systemctl daemon-reload", "modprobe "+oneVivid), configure(ctx, settings(oneCamera, "0.5", "")))
}

// keepArtefacts leaves what explains a failure in the host's folder. It is not a test: what is
// missing there stays missing.
func keepArtefacts(boot int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name, line := range map[string]string{
		"journal.txt": "journalctl -b -o short-monotonic --no-pager",
		"units.txt":   "systemctl status --no-pager -l robustnet-edge*",
		"failed.txt":  "systemctl --failed --no-pager --no-legend",
		"blame.txt":   "systemd-analyze blame --no-pager",
	} {
		words := strings.Fields(line)
		said, err := command(ctx, words[0], words[1:]...)
		if err != nil {
			said += "\n" + err.Error()
		}
		keep(fmt.Sprintf("boot%d-%s", boot+1, name), said)
	}
}

// keepFigures leaves the daemon's figures, if it runs.
func keepFigures(when string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for name, path := range map[string]string{"metrics.txt": "/metrics", "status.json": "/api/v1/status"} {
		if _, body, err := get(ctx, path); err == nil {
			keep(strings.ReplaceAll(when, " ", "-")+"-"+name, body)
		}
	}
}

func keep(name, text string) {
	if err := os.WriteFile(filepath.Join(plan.Folder, name), []byte(text), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
	}
}
