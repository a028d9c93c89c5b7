// Package ranks lets several processes train together: it reads which of them this one is,
// brings them together as a [torch.Group], and watches over them, so that all end when one
// dies, and say which.
package ranks

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Config says which of the processes that train together this one is.
type Config struct {
	// Rank numbers the process, from 0 to World - 1. A World of 1 is a process by itself.
	Rank, World int
	// Local numbers the process among those of its machine, for the choice of a GPU.
	Local int
	// Address is "host:port" of a store through which the processes find each other. Rank 0,
	// which runs on that host, serves it, unless Served says that somebody else does.
	Address string
	Served  bool
	// Attempt sets repeated starts with one store apart.
	Attempt string
}

// Alone tells whether the process trains by itself.
func (c Config) Alone() bool { return c.World == 1 }

// The variables that torchrun and its like set for each process.
const (
	addressVariable = "MASTER_ADDR"
	portVariable    = "MASTER_PORT"
	worldVariable   = "WORLD_SIZE"
	rankVariable    = "RANK"
	localVariable   = "LOCAL_RANK" // RANK where it is missing
	servedVariable  = "TORCHELASTIC_USE_AGENT_STORE"
	attemptVariable = "TORCHELASTIC_RESTART_COUNT"
)

// maxWorld is far above what this kind of training is for.
const maxWorld = 1024

// FromEnvironment reads MASTER_ADDR, MASTER_PORT, WORLD_SIZE, RANK and LOCAL_RANK, as torchrun
// sets them. Without any of them the process trains by itself. An error names all faults.
func FromEnvironment(getenv func(string) string) (Config, error) {
	var missing, present []string
	for _, name := range []string{addressVariable, portVariable, worldVariable, rankVariable} {
		if getenv(name) == "" {
			missing = append(missing, name)
		} else {
			present = append(present, name)
		}
	}
	if len(present) == 0 {
		return Config{World: 1}, nil
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("%s set, but not %s; set all four for training with several processes, or none", strings.Join(present, ", "), strings.Join(missing, ", ")))
	}
	number := func(name string, low, high int) int {
		text := getenv(name)
		n, err := strconv.Atoi(text)
		if text != "" && (err != nil || n < low || n > high) {
			errs = append(errs, fmt.Errorf("%s is %q; want %d to %d", name, text, low, high))
		}
		return n
	}
	port := number(portVariable, 1, 1<<16-1)
	c := Config{
		World:   number(worldVariable, 1, maxWorld),
		Address: net.JoinHostPort(getenv(addressVariable), strconv.Itoa(port)),
		Served:  getenv(servedVariable) == "True",
		Attempt: getenv(attemptVariable),
	}
	c.Rank = number(rankVariable, 0, maxWorld-1)
	if c.Local = c.Rank; getenv(localVariable) != "" {
		c.Local = number(localVariable, 0, maxWorld-1)
	}
	if len(errs) == 0 && c.Rank >= c.World {
		errs = append(errs, fmt.Errorf("%s is %d of a %s of %d; want 0 to %d", rankVariable, c.Rank, worldVariable, c.World, c.World-1))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("training with several processes: %w", err)
	}
	return c, nil
}
