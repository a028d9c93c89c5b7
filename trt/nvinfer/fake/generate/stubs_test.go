package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStubs(t *testing.T) {
	for name, tt := range map[string]struct{ header, want string }{
		"one method": {
			"class VThing : public VRoot\n{\npublic:\n    virtual void set(int32_t n) noexcept = 0;\n};",
			"class StubVThing : public VThing {\n public:\n  void set(int32_t n) noexcept override { fake::uncalled(\"VThing::set\"); }\n};",
		},
		"over several lines, marked and with a default": {
			"class VThing {\npublic:\n\tNODISCARD virtual\n\t\tchar const* name(\n\t\tint i, void* p = nullptr) const noexcept\n\t\t= 0;\n};",
			"class StubVThing : public VThing {\n public:\n  char const* name( int i, void* p = nullptr) const noexcept override { fake::uncalled(\"VThing::name\"); }\n};",
		},
		"overloads and no other methods": {
			"class VThing;\nclass VThing { public: VThing() = default; virtual ~VThing() noexcept = default; virtual int a() = 0; virtual int a(int) = 0; int b() { return 0; } };",
			"class StubVThing : public VThing {\n public:\n  int a() override { fake::uncalled(\"VThing::a\"); }\n  int a(int) override { fake::uncalled(\"VThing::a\"); }\n};",
		},
		"comments and conditions": {
			"// class VThing { virtual int no() = 0; };\nclass VThing {\n/* virtual int no() = 0;\n*/\n#if 1\n    virtual int yes() = 0; // = 0;\n#endif\n};",
			"class StubVThing : public VThing {\n public:\n  int yes() override { fake::uncalled(\"VThing::yes\"); }\n};",
		},
		"only those that there are": {
			"class VOther { virtual ns::Pair<int, int> pair() = 0; };\nclass VThingLayer { virtual int no() = 0; };",
			"class StubVOther : public VOther {\n public:\n  ns::Pair<int, int> pair() override { fake::uncalled(\"VOther::pair\"); }\n};",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := source{"Thing.h", "ns", []string{"VThing", "VOther"}}.stubs(tt.header)
			if err != nil {
				t.Fatal(err)
			}
			if got = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(got, "\nnamespace ns {\n"), "\n}  // namespace ns\n")); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	for name, header := range map[string]string{"no class": "class VSomething {};", "a class that does not end": "class VThing { virtual int a() = 0;"} {
		if got, err := (source{"Thing.h", "ns", []string{"VThing"}}).stubs(header); err == nil || !strings.Contains(err.Error(), "Thing.h") {
			t.Errorf("%s: %q, %v; want an error that names the file", name, got, err)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	header := filepath.Join(dir, "stubs.h")
	if err := run(dir, header); err == nil || !strings.Contains(err.Error(), "NvInferImpl.h") {
		t.Errorf("without headers: %v", err)
	}
	for file, text := range map[string]string{
		"NvInferImpl.h":  "class VBuilder : public VRoot { virtual bool a() = 0; };",
		"NvOnnxParser.h": "class IParser { virtual bool b() = 0; };",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(dir, header); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"namespace nvinfer1::apiv {\n\nclass StubVBuilder : public VBuilder {", "class StubIParser : public IParser {"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the header lacks %q", want)
		}
	}
}
