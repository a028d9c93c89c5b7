package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/view"
)

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	s := NewServer(options(newFakeCamera(5)))
	start(t, s)
	c := client(t)
	page := get(t, s, "/").body
	links := regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(links) < 8 {
		t.Fatalf("links in the page = %d, want at least 8", len(links))
	}
	for _, link := range links {
		if !strings.HasPrefix(link[1], "/") || strings.HasPrefix(link[1], "//") {
			t.Errorf("page links to %q, want addresses of this server only", link[1])
			continue
		}
		if got := do(t, c, http.MethodHead, s.URL()+link[1][1:], "").code; got != http.StatusOK {
			t.Errorf("HEAD %s = %d, want 200", link[1], got)
		}
	}
	for _, asset := range []string{"/app.css", "/app.js"} {
		body := get(t, s, asset).body
		// The name of a namespace is not fetched.
		body = strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")
		if regexp.MustCompile(`https?://[a-z]|@import`).MatchString(body) {
			t.Errorf("%s names an address elsewhere", asset)
		}
	}
	// The content security policy would silence these.
	if m := regexp.MustCompile(`<style|style="|<script>|\son[a-z]+="`).FindString(page); m != "" {
		t.Errorf("page has inline style or script: %q", m)
	}
}

func TestPageShowsEveryView(t *testing.T) {
	s := NewServer(options(newFakeCamera(5)))
	start(t, s)
	page := get(t, s, "/").body
	for _, v := range view.All() {
		if !strings.Contains(page, `value="`+string(v)+`"`) {
			t.Errorf("page does not offer the view %s", v)
		}
	}
	if want := "rtsp://127.0.0.1:8554/overlay</code>"; !strings.Contains(page, want) {
		t.Errorf("page does not show %s", want)
	}
}

// TestPageEscapes: addresses and names come from configuration and model files.
func TestPageEscapes(t *testing.T) {
	o := options(newFakeCamera(5))
	o.Status = func() Status {
		st := fullStatus()
		st.Cameras[0].Source.URI = `file:<script>alert(1)</script>`
		st.Model.Name = `"><img src=x onerror=alert(1)>`
		return st
	}
	s := NewServer(o)
	start(t, s)
	page := get(t, s, "/").body
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") {
		t.Error("page holds markup from the configuration")
	}
	if !strings.Contains(page, "file:&lt;script&gt;") {
		t.Error("page does not show the camera's address")
	}
}

// TestScriptFindsItsElements catches an identifier that is renamed on one side only.
func TestScriptFindsItsElements(t *testing.T) {
	page, _ := assets.ReadFile("assets/index.html")
	script, _ := assets.ReadFile("assets/app.js")
	ids := regexp.MustCompile(`(?:\$|text)\('([a-z0-9-]+)'`).FindAllSubmatch(script, -1)
	if len(ids) < 20 {
		t.Fatalf("identifiers in the script = %d, want at least 20", len(ids))
	}
	for _, id := range ids {
		if !strings.Contains(string(page), ` id="`+string(id[1])+`"`) {
			t.Errorf("script uses #%s, which the page lacks", id[1])
		}
	}
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Enum       []string          `json:"enum"`
}

type openAPI struct {
	OpenAPI    string                                `json:"openapi"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]schema `json:"schemas"`
		Parameters map[string]struct {
			Schema schema `json:"schema"`
		} `json:"parameters"`
	} `json:"components"`
}

func description(t *testing.T) openAPI {
	t.Helper()
	raw, err := assets.ReadFile("assets/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d openAPI
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryRouteIsDescribed(t *testing.T) {
	d := description(t)
	var routes []string
	for _, r := range NewServer(options(newFakeCamera(0))).routes() {
		routes = append(routes, r.path)
		if _, ok := d.Paths[r.path]["get"]; !ok {
			t.Errorf("openapi.json does not describe GET %s", r.path)
		}
	}
	for path := range d.Paths {
		if !slices.Contains(routes, path) {
			t.Errorf("openapi.json describes %s, which does not exist", path)
		}
	}
	var views []string
	for _, v := range view.All() {
		views = append(views, string(v))
	}
	if got := d.Components.Parameters["view"].Schema.Enum; !slices.Equal(got, views) {
		t.Errorf("openapi.json: views = %v, want %v", got, views)
	}
	states := []string{string(CameraOpening), string(CameraUp), string(CameraLost), string(CameraEnded), string(CameraFailed)}
	if got := d.Components.Schemas["SourceStatus"].Properties["state"].Enum; !slices.Equal(got, states) {
		t.Errorf("openapi.json: camera states = %v, want %v", got, states)
	}
}

func TestEveryStatusFieldIsDescribed(t *testing.T) {
	d := description(t)
	described := map[string]bool{}
	checkType(t, d, reflect.TypeFor[Status](), described)
	for name := range d.Components.Schemas {
		if !described[name] {
			t.Errorf("openapi.json describes %s, which is not part of Status", name)
		}
	}
}

func checkType(t *testing.T, d openAPI, typ reflect.Type, described map[string]bool) {
	t.Helper()
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		checkType(t, d, typ.Elem(), described)
		return
	case reflect.Struct:
	default:
		return
	}
	described[typ.Name()] = true
	got := d.Components.Schemas[typ.Name()]
	var fields []string
	for i := range typ.NumField() {
		field := typ.Field(i)
		name := field.Tag.Get("json")
		fields = append(fields, name)
		if !regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`).MatchString(name) {
			t.Errorf("%s.%s: JSON name %q is not in snake case", typ.Name(), field.Name, name)
		}
		property, ok := got.Properties[name]
		if !ok {
			t.Errorf("openapi.json: %s lacks %s", typ.Name(), name)
			continue
		}
		if want, ok := jsonTypes[field.Type.Kind()]; ok && property.Type != want {
			t.Errorf("openapi.json: %s.%s has type %v, want %s", typ.Name(), name, property.Type, want)
		}
		if field.Type.Kind() == reflect.Struct && property.Ref != "#/components/schemas/"+field.Type.Name() {
			t.Errorf("openapi.json: %s.%s refers to %q, want %s", typ.Name(), name, property.Ref, field.Type.Name())
		}
		checkType(t, d, field.Type, described)
	}
	for name := range got.Properties {
		if !slices.Contains(fields, name) {
			t.Errorf("openapi.json: %s has %s, which the status lacks", typ.Name(), name)
		}
	}
	slices.Sort(fields)
	slices.Sort(got.Required)
	if !slices.Equal(fields, got.Required) {
		t.Errorf("openapi.json: %s requires %v, want %v", typ.Name(), got.Required, fields)
	}
}

var jsonTypes = map[reflect.Kind]string{
	reflect.String: "string", reflect.Float64: "number", reflect.Int: "integer",
	reflect.Uint64: "integer", reflect.Slice: "array", reflect.Map: "object",
}
