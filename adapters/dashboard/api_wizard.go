package dashboard

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// fileMost is how large a configuration may be.
const fileMost = 1 << 20

// wizard is the wizard, if there is one.
func (s *Server) wizard(w http.ResponseWriter) Wizard {
	if s.config.Wizard == nil {
		refusal(http.StatusNotFound, "this ebb has no wizard", "use ebb init").write(w)
	}
	return s.config.Wizard
}

func (s *Server) wizardSteps(w http.ResponseWriter, _ *http.Request) {
	wizard := s.wizard(w)
	if wizard == nil {
		return
	}
	steps, err := wizard.Steps()
	if err != nil {
		failed("no questions", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"steps": steps})
}

// answers reads {"answers": {...}} with the fields of more.
type answers struct {
	Answers json.RawMessage `json:"answers"`
	Inline  bool            `json:"inline_secrets"`
}

func readAnswers(w http.ResponseWriter, r *http.Request) (answers, *problem) {
	var asked answers
	if bad := readJSON(w, r, fileMost, &asked); bad != nil {
		return asked, bad
	}
	if text := strings.TrimSpace(string(asked.Answers)); !strings.HasPrefix(text, "{") {
		return asked, refusal(http.StatusBadRequest, "answers is not an object", `send {"answers": {"autoscalers[0].name": "prod"}}`)
	}
	return asked, nil
}

func (s *Server) wizardCheck(w http.ResponseWriter, r *http.Request) {
	wizard := s.wizard(w)
	if wizard == nil {
		return
	}
	asked, bad := readAnswers(w, r)
	if bad != nil {
		bad.write(w)
		return
	}
	problems, err := wizard.Check(asked.Answers)
	if err != nil {
		failedFile("the answers cannot be read", err).write(w)
		return
	}
	if problems == nil {
		problems = []Problem{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"problems": problems})
}

// failedFile is a failure over what was sent, which is the sender's.
func failedFile(what string, err error) *problem {
	p := failed(what, err)
	if p.status == http.StatusServiceUnavailable {
		p.status, p.Fix = http.StatusUnprocessableEntity, "look at what was sent; `ebb config check` and `ebb config import` say the same"
	}
	return p
}

func (s *Server) wizardImport(w http.ResponseWriter, r *http.Request) {
	wizard := s.wizard(w)
	if wizard == nil {
		return
	}
	var asked struct {
		Name string `json:"name"`
		Text string `json:"text"`
	}
	if bad := readJSON(w, r, 2*fileMost, &asked); bad != nil {
		bad.write(w)
		return
	}
	if strings.TrimSpace(asked.Text) == "" || len(asked.Text) > fileMost || !utf8.ValidString(asked.Text) || strings.ContainsRune(asked.Text, 0) {
		refusal(http.StatusBadRequest, "this is not a configuration: it is empty, larger than 1 MiB, or no text", "send a YAML, JSON or HOCON file").write(w)
		return
	}
	imported, err := wizard.Import(asked.Name, []byte(asked.Text))
	if err != nil {
		failedFile("the file cannot be read", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, imported)
}

func (s *Server) wizardWrite(w http.ResponseWriter, r *http.Request) {
	wizard := s.wizard(w)
	if wizard == nil {
		return
	}
	asked, bad := readAnswers(w, r)
	if bad != nil {
		bad.write(w)
		return
	}
	written, err := wizard.Write(asked.Answers, asked.Inline)
	if err != nil {
		failedFile("the file cannot be written", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, written)
}
