package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// Kernel is an unpacked kernel package.
type Kernel struct {
	// Image is the file to boot.
	Image string
	// Release is the kernel's version, as uname -r prints it.
	Release string
	folder  string
	modules map[string]string // path by name
}

// OpenKernel finds the kernel in a folder that packaging/vm/kernel.sh filled.
func OpenKernel(folder string) (*Kernel, error) {
	images, err := filepath.Glob(filepath.Join(folder, "boot", "vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return nil, fmt.Errorf("%d kernels in %s; packaging/vm/kernel.sh fetches one", len(images), folder)
	}
	k := &Kernel{Image: images[0], folder: folder, modules: map[string]string{}}
	k.Release = strings.TrimPrefix(filepath.Base(k.Image), "vmlinuz-")
	err = filepath.WalkDir(filepath.Join(folder, "lib", "modules", k.Release), func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			k.modules[moduleName(name)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for modules: %w", err)
	}
	return k, nil
}

// Load is the order in which modules and what they depend on must be loaded. Names that the
// kernel has no file for are built in and left out.
func (k *Kernel) Load(modules ...plan.Module) ([]plan.Module, error) {
	var order []plan.Module
	for _, m := range modules {
		if err := k.load(m, &order); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func (k *Kernel) load(m plan.Module, order *[]plan.Module) error {
	path, ok := k.modules[moduleName(m.Name)]
	file := moduleName(m.Name) + ".ko"
	if !ok || slices.ContainsFunc(*order, func(o plan.Module) bool { return o.Name == file }) {
		return nil
	}
	needs, err := dependencies(path)
	if err != nil {
		return err
	}
	for _, name := range needs {
		if err := k.load(plan.Module{Name: name}, order); err != nil {
			return err
		}
	}
	*order = append(*order, plan.Module{Name: file, Parameters: m.Parameters})
	return nil
}

// Module returns the path of a module that Load named.
func (k *Kernel) Module(file string) string { return k.modules[strings.TrimSuffix(file, ".ko")] }

// moduleName spells a name as the kernel does; the names of files are free in it.
func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// dependencies reads what a module says it needs, so that no depmod has to run.
func dependencies(path string) ([]string, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", path, err)
	}
	defer file.Close()
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("read module %s: it has no section .modinfo", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", path, err)
	}
	var names []string
	for line := range bytes.SplitSeq(info, []byte{0}) {
		key, value, _ := strings.Cut(string(line), "=")
		switch key {
		case "depends", "softdep":
			value = strings.TrimPrefix(value, "pre:")
			names = append(names, strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })...)
		}
	}
	return names, nil
}
