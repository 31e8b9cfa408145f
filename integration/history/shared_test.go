package history

import (
	"testing"
	"time"
)

func share(client string, token, asked, from, to, freed int64) Share {
	return Share{Hold: Hold{Name: "x", Client: client, Token: token, Asked: asked, From: from, To: to}, Freed: freed}
}

func reader(s Share) Share { s.Read = true; return s }

func takes(n int, s Share) Share { s.Takes = n; return s }

func TestReadersWriterHistories(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		shares []Share
		good   bool
	}{
		{"nothing", nil, true},
		{"readers beside each other, then a writer", []Share{
			reader(share("a", 5, 0, 10, 50, 55)), reader(share("b", 5, 0, 20, 60, 65)), share("c", 7, 30, 70, 80, 85), reader(share("a", 8, 75, 90, 99, 0)),
		}, true},
		{"a writer whose release is under way, and the next", []Share{share("a", 5, 0, 10, 50, 0), share("b", 7, 20, 60, 70, 0)}, true},
		{"a writer that has made itself a reader", []Share{share("a", 5, 0, 10, 20, 30), reader(share("a", 5, 20, 30, 60, 65)), reader(share("b", 6, 0, 35, 70, 75))}, true},
		{"a reader beside a writer", []Share{share("a", 5, 0, 10, 50, 55), reader(share("b", 6, 0, 40, 60, 65))}, false},
		{"a writer beside a reader", []Share{reader(share("a", 5, 0, 10, 50, 55)), share("b", 6, 0, 49, 60, 65)}, false},
		{"two writers", []Share{share("a", 5, 0, 10, 50, 55), share("b", 6, 0, 49, 60, 65)}, false},
		{"a token from before", []Share{share("a", 7, 0, 10, 50, 55), share("b", 6, 0, 70, 80, 85)}, false},
		{"a reader's token from before a writer", []Share{share("a", 7, 0, 10, 50, 55), reader(share("b", 6, 0, 70, 80, 85))}, false},
	}
	for _, test := range tests {
		if found := ReadersWriter(test.shares, time.Minute, ""); (len(found) == 0) != test.good {
			t.Errorf("%s: %v", test.name, found)
		}
	}
}

func TestSemaphoreHistories(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		shares []Share
		good   bool
	}{
		{"nothing", nil, true},
		{"all permits, one by one and at once", []Share{
			takes(1, share("a", 5, 0, 10, 50, 55)), takes(2, share("b", 6, 0, 20, 60, 65)), takes(3, share("c", 7, 30, 70, 80, 85)),
		}, true},
		{"one too many", []Share{takes(1, share("a", 5, 0, 10, 50, 55)), takes(3, share("b", 6, 0, 49, 60, 65))}, false},
		{"one too many by itself", []Share{takes(4, share("a", 5, 0, 10, 50, 55))}, false},
		{"one too many, of a lost one that believed to the end", []Share{takes(2, share("a", 5, 0, 10, 50, 0)), takes(2, share("b", 6, 0, 49, 60, 0))}, false},
		{"a lost one, and the next", []Share{takes(2, share("a", 5, 0, 10, 50, 0)), takes(2, share("b", 6, 0, 51, 60, 0))}, true},
	}
	for _, test := range tests {
		if found := Semaphore(3, test.shares, time.Minute, ""); (len(found) == 0) != test.good {
			t.Errorf("%s: %v", test.name, found)
		}
	}
}
