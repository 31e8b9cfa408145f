package lastgood

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	long := strings.Repeat("x", 200)
	for _, name := range []string{
		"api", "API", "team/api", "team%2fapi", "team%2Fapi", "..", ".", "a b", "ä", long, long + "y", strings.Repeat("x", 300), strings.Repeat("/", 90),
	} {
		file := Name(name)
		if other, taken := seen[file]; taken {
			t.Errorf("%q and %q have one file", name, other)
		}
		seen[file] = name
		if strings.ContainsAny(file, `/\.: `) || len(file) > 140 || file != strings.ToLower(file) {
			t.Errorf("%q has the file %q", name, file)
		}
	}
}
