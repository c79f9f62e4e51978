package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// file is one that the page is made of.
type file struct {
	content []byte
	kind    string
	tag     string
}

// embedded are the files by their address.
func embedded() (map[string]file, error) {
	files := make(map[string]file)
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		files["/"+strings.TrimPrefix(name, "assets/")] = file{content: content, kind: kindOf(name), tag: `"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the files of the dashboard: %w", err)
	}
	return files, nil
}

// kindOf does not ask the machine's own table, which may lack some.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// file serves the page. It holds nothing about anybody, so all may have it; what
// it shows comes from /api. Addresses of views are the page itself.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refusal(http.StatusMethodNotAllowed, "pages can only be read", "use GET").write(w)
		return
	}
	name := r.URL.Path
	if name == "/" || name == "/new" || strings.HasPrefix(name, "/a/") {
		name = "/index.html"
	}
	found, ok := s.files[name]
	if !ok {
		refusal(http.StatusNotFound, "there is no such page", "go to /").write(w)
		return
	}
	w.Header().Set("Content-Type", found.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", found.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.content))
}
