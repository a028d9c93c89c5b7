// Package library finds the shared libraries that the programs load at run time.
package library

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
)

// Given returns the path of a shared library that was named, or else that which the environment
// variable holds; "" when neither does. One that is not there is an error.
func Given(path, variable string) (string, error) {
	if path = cmp.Or(path, os.Getenv(variable)); path == "" {
		return "", nil
	}
	_, err := os.Stat(path)
	return path, err
}

// Find returns the path of a shared library that lies beside the program, in lib/ beside it
// or in /usr/lib/robustnet; "" when there is none.
func Find(name string) string {
	for _, dir := range folders() {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Folders names the folders where [Find] looks, for messages.
func Folders() string { return strings.Join(folders(), ", ") }

func folders() []string {
	installed := "/usr/lib/robustnet"
	exe, err := os.Executable()
	if err != nil {
		return []string{installed}
	}
	dir := filepath.Dir(exe)
	return []string{dir, filepath.Join(dir, "lib"), installed}
}
