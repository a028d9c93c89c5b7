package torch

/*
#include <dlfcn.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Preload loads a shared library in whose place libtorch would otherwise load the system's
// choice of the same name, such as another libblas.so.3. It must come before [Load].
func Preload(path string) error {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.library != nil {
		return fmt.Errorf("preload %s: libtorch is loaded already", path)
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if C.dlopen(name, C.RTLD_NOW) == nil {
		return fmt.Errorf("preload: %w", errors.New(C.GoString(C.dlerror())))
	}
	return nil
}
