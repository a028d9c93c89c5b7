// Package plan is what the host tells the first process of a virtual machine to do, and what
// that process answers. Both sides import it; the plan travels as JSON in the initramfs.
package plan

import "time"

// Places in the initramfs.
const (
	// File holds the plan.
	File = "/plan.json"
	// ModuleFolder holds the kernel's modules.
	ModuleFolder = "/modules"
)

// Tags of the host's folders that a machine can mount over 9p.
const (
	// HostTag is the host's file system, read-only.
	HostTag = "host"
	// OutTag is the folder that results go to.
	OutTag = "out"
)

// OutFolder is where the commands of a plan find the folder of results.
const OutFolder = "/run/out"

// ResultFile is the name of the answer in the folder of results: a JSON array of Result, one
// for each command that ended.
const ResultFile = "results.json"

// Plan is what the first process does: load modules in order, then either run commands on the
// host's file system and power off, or go on as the init of a disk.
type Plan struct {
	Modules  []Module
	Commands []Command
	// Disk is the block device of the root to boot; nothing runs the commands.
	Disk string
}

// Module is a file below ModuleFolder and the parameters to load it with.
type Module struct {
	Name       string
	Parameters string
}

// Command is one program to run, as root, in an environment of nothing but Env.
type Command struct {
	Args    []string
	Env     []string
	Timeout time.Duration
}

// Result is how a command ended.
type Result struct {
	// Exit is the exit code; -1 after a signal, a time-out or a program that did not start,
	// which Fault names.
	Exit           int
	Fault          string
	Seconds        float64
	Stdout, Stderr string
}
