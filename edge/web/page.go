package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"github.com/robustnet-edge/robustnet/edge/view"
)

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/index.html"))

// page serves the landing page. What it shows at first is in the HTML, so that it says
// something before and without its script.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	status := s.currentStatus(r)
	err := pageTemplate.Execute(&body, struct {
		Status Status
		First  CameraStatus
		Views  []view.View
	}{status, status.Cameras[0], view.All()})
	if err != nil {
		s.o.Log.Error().Err(err).Msg("page cannot be rendered")
		http.Error(w, "the page cannot be rendered; the log says why", http.StatusInternalServerError)
		return
	}
	send(w, "text/html; charset=utf-8", body.Bytes())
}

// asset serves an embedded file. It is not cached, because a new version of the daemon
// has the same address.
func asset(name, contentType string) http.HandlerFunc {
	body, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the file is embedded or the program does not build as it should
	}
	return func(w http.ResponseWriter, _ *http.Request) { send(w, contentType, body) }
}
