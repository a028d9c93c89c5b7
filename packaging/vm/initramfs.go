package vm

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// WriteInitramfs writes the first file system of a machine: the program init, the modules that
// the plan names, and the plan.
func WriteInitramfs(path string, k *Kernel, init string, p *plan.Plan) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	defer func() {
		if e := file.Close(); err == nil && e != nil {
			err = fmt.Errorf("write initramfs: %w", e)
		}
	}()
	a := archive{w: file}
	a.folder("dev")
	a.folder(plan.ModuleFolder[1:])
	a.copy("init", init, 0o755)
	for _, m := range p.Modules {
		a.copy(filepath.Join(plan.ModuleFolder[1:], m.Name), k.Module(m.Name), 0o644)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	a.add(plan.File[1:], 0o100644, text)
	a.add("TRAILER!!!", 0, nil)
	if a.err != nil {
		return fmt.Errorf("write initramfs: %w", a.err)
	}
	return nil
}

// archive writes the cpio format that the kernel unpacks, "newc". The first error stays.
type archive struct {
	w     io.Writer
	inode int
	err   error
}

func (a *archive) folder(name string) { a.add(name, 0o040755, nil) }

func (a *archive) copy(name, from string, mode int) {
	content, err := os.ReadFile(from)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.add(name, 0o100000|mode, content)
}

func (a *archive) add(name string, mode int, content []byte) {
	if a.err != nil {
		return
	}
	a.inode++
	const owner, links, noTime, noDevice, noSum = 0, 1, 0, 0, 0
	head := fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, owner, owner, links, noTime, len(content),
		noDevice, noDevice, noDevice, noDevice, len(name)+1, noSum, name)
	for _, part := range [][]byte{pad(head), pad(content)} {
		if _, err := a.w.Write(part); err != nil {
			a.err = err
			return
		}
	}
}

// pad fills up to the next multiple of four bytes.
func pad(b []byte) []byte {
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}
