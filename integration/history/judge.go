package history

import (
	"encoding/json"
	"os"
	"time"
)

// A Verdict is what a judge says of a history.
type Verdict struct {
	Tried map[string]int // by invariant
	Found []Violation
	File  string // where a bad history is kept
}

// Judge checks everything there is to check. A bad history is kept at base with .json behind it, and porcupine's picture of it with .html.
func (h *History) Judge(base string) (Verdict, error) {
	var v Verdict
	v.Tried, v.Found = h.Check()
	n, bad := h.Linearizable(time.Minute, base+".html")
	v.Tried[Model] = n
	v.Found = append(v.Found, bad...)
	if len(v.Found) == 0 {
		return v, nil
	}
	text, err := json.MarshalIndent(h, "", " ")
	if err == nil {
		v.File = base + ".json"
		err = os.WriteFile(v.File, text, 0o600)
	}
	return v, err
}

// Read reads a history that was kept.
func Read(file string) (*History, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	h := new(History)
	return h, json.Unmarshal(text, h)
}
