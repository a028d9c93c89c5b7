package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// blasVariable marks a process that withReferenceBLAS has started.
const blasVariable = "ROBUSTNET_REFERENCE_BLAS"

// withReferenceBLAS replaces the process by the same program with the reference BLAS in
// place of an optimised one, for the linker chooses between them before the program starts.
// It returns in the new process, and where there is no reference BLAS.
func withReferenceBLAS(log io.Writer) error {
	if os.Getenv(blasVariable) != "" {
		return nil
	}
	libraries, _ := filepath.Glob("/usr/lib/*-linux-gnu/blas/libblas.so.3")
	if len(libraries) == 0 {
		_, err := fmt.Fprintln(log, "the reference BLAS is not installed (Debian's libblas3): the steps after the first may fail from rounding alone")
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start with the reference BLAS: %w", err)
	}
	path := strings.TrimSuffix(filepath.Dir(libraries[0])+":"+os.Getenv("LD_LIBRARY_PATH"), ":")
	environment := append(os.Environ(), "LD_LIBRARY_PATH="+path, blasVariable+"=1")
	return fmt.Errorf("start with the reference BLAS: %w", syscall.Exec(program, os.Args, environment))
}
