package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/trt/ort"
)

const module = "github.com/robustnet-edge/robustnet"

// allocations counts heap objects per frame in steady state, by the package that asked for
// them. What the standard library or the runtime allocates is charged to the package that
// called it.
func (b *bench) allocations(ctx context.Context, engine *ort.Engine) error {
	const settled = 200 // pools and caches are full by then
	var before, after map[string]int64
	counted := &meter{Engine: engine, after: func(runs int) {
		switch runs {
		case settled:
			before = allocatedObjects()
		case settled + b.frames:
			after = allocatedObjects()
		}
	}}
	if _, err := b.daemon(ctx, counted, play{frames: settled + b.frames}); err != nil {
		return err
	}
	if after == nil {
		return fmt.Errorf("%s has %d frames, but %d are needed", b.clip, counted.runs, settled+b.frames)
	}
	ours := int64(0)
	fmt.Printf("allocations heap objects per frame over %d frames, by package\n", b.frames)
	packages := slices.SortedFunc(maps.Keys(after), func(x, y string) int {
		return cmp.Compare(after[y]-before[y], after[x]-before[x])
	})
	for _, name := range packages {
		objects := after[name] - before[name]
		isOurs := strings.HasPrefix(name, module) && !strings.HasPrefix(name, module+"/bench")
		if isOurs {
			ours += objects
		}
		if perFrame := float64(objects) / float64(b.frames); isOurs && objects > 0 || perFrame >= 0.01 {
			fmt.Printf("  %8.3f  %s\n", perFrame, name)
		}
	}
	perFrame := float64(ours) / float64(b.frames)
	fmt.Printf("  %8.3f  ours, together\n", perFrame)
	b.target(perFrame < mostObjects, "the project's own code allocates nothing per frame: below %v objects", mostObjects)
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
// standard library. The runtime keeps records of waiting goroutines, which it caches until
// the next collection; they are its own.
func packageOf(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		if f.Function == "runtime.acquireSudog" {
			return "runtime, waiting goroutines"
		}
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
