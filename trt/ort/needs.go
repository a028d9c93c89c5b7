package ort

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

// Loads a library and lets it go again. Returns what is wrong with it, or NULL; place, if it is not
// NULL, becomes the path at which it was found. Both are to be freed.
static char *try_library(const char *name, char **place) {
	void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
	if (!library) return strdup(dlerror());
	struct link_map *map;
	if (place && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0) *place = strdup(map->l_name);
	dlclose(library);
	return NULL;
}
*/
import "C"

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"
)

// tryLibrary loads a library and lets it go again. It returns where the dynamic loader found it,
// or what the loader says is wrong.
func tryLibrary(name string) (place, wrong string) {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	var cPlace *C.char
	if cWrong := C.try_library(cName, &cPlace); cWrong != nil {
		defer C.free(unsafe.Pointer(cWrong))
		return "", C.GoString(cWrong)
	}
	defer C.free(unsafe.Pointer(cPlace))
	return C.GoString(cPlace), ""
}

// unmet returns the names of the libraries that a library needs and the dynamic loader does not
// find, also those that only what it needs needs, and else what the loader says of them. The
// library itself is read and not loaded: a provider's is made to be loaded by ONNX Runtime alone.
func unmet(library string) ([]string, error) {
	file, err := elf.Open(library)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	needed, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range needed {
		_, wrong := tryLibrary(inFolders(runFolders(file, library), name))
		if wrong == "" {
			continue
		}
		if absent, _, ok := strings.Cut(wrong, ": cannot open shared object file"); ok {
			wrong = filepath.Base(absent)
		}
		if !slices.Contains(found, wrong) {
			found = append(found, wrong)
		}
	}
	return found, nil
}

// runFolders are those in which a library itself says that what it needs is.
func runFolders(file *elf.File, library string) (folders []string) {
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, _ := file.DynString(tag) // a library without any is as one that cannot be read
		for _, list := range lists {
			for folder := range strings.SplitSeq(list, ":") {
				folder = strings.NewReplacer("$ORIGIN", filepath.Dir(library), "${ORIGIN}", filepath.Dir(library)).Replace(folder)
				folders = append(folders, folder)
			}
		}
	}
	return folders
}

// inFolders returns the path of a library that is in one of the folders, or else its mere name, for
// which the dynamic loader looks where it always does.
func inFolders(folders []string, name string) string {
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	return name
}
