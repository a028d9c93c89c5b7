package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
)

const module = "github.com/robustnet-edge/robustnet"

// allocations counts heap objects per frame in steady state, by the package that asked for
// them. What the standard library or the runtime allocates is charged to the package that
// called it.
func (b *bench) allocations(ctx context.Context) error {
	engine, err := b.engine()
	if err != nil {
		return err
	}
	defer engine.Close()
	const settled = 200
	var before, after map[string]int64
	counted := &countingEngine{Engine: engine, after: func(n int64) {
		switch n {
		case settled:
			before = allocatedObjects()
		case int64(b.frames) + settled:
			after = allocatedObjects()
		}
	}}
	if err := b.daemon(ctx, counted, "pace=0&loop=1", b.frames+settled+2, nil); err != nil {
		return err
	}
	ours := 0.0
	fmt.Printf("allocations heap objects per frame over %d frames, by package\n", b.frames)
	packages := slices.SortedFunc(maps.Keys(after), func(x, y string) int {
		return cmp.Compare(after[y]-before[y], after[x]-before[x])
	})
	for _, name := range packages {
		perFrame := float64(after[name]-before[name]) / float64(b.frames)
		if strings.HasPrefix(name, module) && !strings.HasPrefix(name, module+"/bench") {
			ours += perFrame
		} else if perFrame < 0.01 {
			continue
		}
		if perFrame > 0 {
			fmt.Printf("  %8.3f  %s\n", perFrame, name)
		}
	}
	fmt.Printf("  %8.3f  ours, together\n", ours)
	return nil
}

// allocatedObjects returns the number of heap objects allocated so far by package.
func allocatedObjects() map[string]int64 {
	// The profile lags by up to two collections.
	runtime.GC()
	runtime.GC()
	var records []runtime.MemProfileRecord
	n, ok := runtime.MemProfile(nil, true)
	for !ok {
		records = make([]runtime.MemProfileRecord, n+50)
		n, ok = runtime.MemProfile(records, true)
	}
	counts := map[string]int64{}
	for _, r := range records[:n] {
		counts[packageOf(r.Stack())] += r.AllocObjects
	}
	return counts
}

// packageOf names the innermost package on the stack that is neither the runtime nor the
// standard library.
func packageOf(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		slash := strings.LastIndexByte(f.Function, '/')
		if slash < 0 {
			slash = 0
		}
		path := f.Function
		if dot := strings.IndexByte(path[slash:], '.'); dot >= 0 {
			path = path[:slash+dot]
		}
		// The first element of a module's path is a host name; the standard library's has
		// no dot.
		host, _, _ := strings.Cut(path, "/")
		if strings.Contains(host, ".") || path == "main" {
			if path == "main" {
				path = module + "/bench/pipeline"
			}
			return path
		}
		if !more {
			return "standard library alone"
		}
	}
}
