package lastgood

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Name makes a file's name of a name of the kit's, and never the same of two: what is odd in it is escaped, and a long one is cut, with a hash of
// all of it.
func Name(name string) string {
	const longest = 100
	var file strings.Builder
	for _, c := range []byte(name) {
		if c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
			file.WriteByte(c)
		} else {
			fmt.Fprintf(&file, "%%%02x", c) // capitals, too: to some file systems they are the same letters
		}
	}
	if file.Len() > longest {
		sum := sha256.Sum256([]byte(name))
		return file.String()[:longest] + "%" + hex.EncodeToString(sum[:16])
	}
	return file.String()
}
