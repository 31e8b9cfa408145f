package election

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

// lineOf is a line of candidates with these IDs. One that begins with "!" is foreign; the others have a priority of 0 unless they say another.
func lineOf(ids ...string) (line []claim.Owner) {
	for i, id := range ids {
		if id[0] != '!' && !strings.Contains(id, mark) {
			id += mark + "0"
		}
		line = append(line, claim.Owner{Key: "p/" + id, Value: "value of " + id, Token: session.Token(i + 1), Holder: i == 0})
	}
	return line
}

func TestPriorityOf(t *testing.T) {
	t.Parallel()
	tests := map[string]int{
		"": 0, "abc": 0, "abc+7": 7, "abc.1-1+100": 100, "abc+101": 0, "abc+": 0, "abc+-1": 0, "abc+1+2": 0, "abc+x": 0, "+5": 5,
		"abc+99999999999999999999": 0,
	}
	for id, want := range tests {
		if got := priorityOf(id); got != want {
			t.Errorf("%q has the priority %d, want %d", id, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	line := lineOf("a", "b", "c", "d")
	line[0].Value, line[2].Value, line[3].Value = "leads", "twice", "twice"
	line[1].Value = "c+0" // the ID of another one
	tests := []struct {
		candidate string
		want      int
		err       error
	}{
		{"a+0", 0, nil},
		{"leads", 0, nil},
		{"b+0", 1, nil},
		{"c+0", 2, nil},
		{"d+0", 3, nil},
		{"twice", 0, ErrUnknownCandidate},
		{"e", 0, ErrUnknownCandidate},
		{"", 0, ErrUnknownCandidate},
	}
	for _, test := range tests {
		got, err := choose(line, "p/", test.candidate)
		if !errors.Is(err, test.err) || err == nil && got != test.want {
			t.Errorf("%q is %d, %v, want %d, %v", test.candidate, got, err, test.want, test.err)
		}
	}
	if _, err := choose(nil, "p/", "a"); !errors.Is(err, ErrUnknownCandidate) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestMoveTo(t *testing.T) {
	t.Parallel()
	line := lineOf("a", "b", "!c", "d")
	tests := []struct {
		leader session.Token
		to     int
		ahead  int
		err    error
	}{
		{1, 0, 0, ErrLeading},
		{1, 1, 0, nil},
		{1, 2, 1, nil}, // the foreign one may lead, but not be passed over
		{1, 3, 0, ErrForeignAhead},
		{2, 1, 0, session.ErrLost},
	}
	for _, test := range tests {
		m, err := moveTo(line, "p/", test.leader, test.to)
		if !errors.Is(err, test.err) || err == nil && (len(m.ahead) != test.ahead || m.target.Key != line[test.to].Key) {
			t.Errorf("to %d under %d: %v, %v", test.to, test.leader, m, err)
		}
	}
	if _, err := moveTo(lineOf("a", "x/b", "c"), "p/", 1, 2); !errors.Is(err, ErrForeignAhead) {
		t.Errorf("past the leader of another election: %v", err)
	}
	if _, err := moveTo(nil, "p/", 1, 0); !errors.Is(err, session.ErrLost) {
		t.Errorf("in an empty line: %v", err)
	}
	var many []string
	for i := range claim.MaxAhead + 3 {
		many = append(many, fmt.Sprint("c", i))
	}
	line = lineOf(many...)
	if m, err := moveTo(line, "p/", 1, claim.MaxAhead+1); err != nil || len(m.ahead) != claim.MaxAhead {
		t.Errorf("past %d: %v", claim.MaxAhead, err)
	}
	if _, err := moveTo(line, "p/", 1, claim.MaxAhead+2); !errors.Is(err, ErrTooManyAhead) {
		t.Errorf("past %d: %v", claim.MaxAhead+1, err)
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line []claim.Owner
		want int
	}{
		{nil, 0},
		{lineOf("a"), 0},
		{lineOf("a+9", "b"), 1},
		{lineOf("a", "b", "c+1", "d+1"), 2},
		{lineOf("a", "b+3", "c+1", "d+7"), 3},
		{lineOf("a", "!b", "c+9"), 1}, // nobody can be brought past it
		{lineOf("a", "b+1", "!c", "d+9"), 1},
		{lineOf("a", "x/b+9", "c+1"), 1}, // the leader of another election whose key lies below
	}
	for _, test := range tests {
		if got := successor(test.line, "p/"); got != test.want {
			t.Errorf("of %v: %d, want %d", test.line, got, test.want)
		}
	}
	ids := make([]string, claim.MaxAhead+3)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	ids[len(ids)-1] += "+9" // too far behind
	if got := successor(lineOf(ids...), "p/"); got != 1 {
		t.Errorf("of a long line: %d, want the next", got)
	}
}
