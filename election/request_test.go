package election

import (
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"etcdkit/internal/hub"
)

func TestRequestRoundTrips(t *testing.T) {
	t.Parallel()
	r := request{Version: 1, ID: "id", Term: 7, To: "abc+5", By: "host/1"}
	if got, ok := parseRequest([]byte(r.String())); !ok || got != r {
		t.Errorf("%s became %+v, %v", r, got, ok)
	}
	for _, junk := range []string{"", "junk", "[]", "{}", `{"v":"1"}`} {
		if got, ok := parseRequest([]byte(junk)); ok {
			t.Errorf("%q is %+v", junk, got)
		}
	}
	if _, ok := parseRequest([]byte(`{"v":2,"id":"x","more":1}`)); !ok {
		t.Error("a later version is none")
	}
}

// alive is the epoch of an asker that was never lost.
type alive struct{ hub.Epoch }

func (alive) Err() error { return nil }

func TestRequestsAreJudged(t *testing.T) {
	t.Parallel()
	open, answered := request{Version: 1, ID: "id", To: "abc"}, request{Version: 1, ID: "id", To: "abc", Refused: "for a reason"}
	kv := func(r request) *mvccpb.KeyValue { return &mvccpb.KeyValue{Value: []byte(r.String())} }
	leader := &mvccpb.KeyValue{}
	resign := open
	resign.To = ""
	tests := []struct {
		name         string
		asked        request
		mine, leader *mvccpb.KeyValue
		done         bool
		want         string // in the error
	}{
		{"nothing yet", open, kv(open), leader, false, ""},
		{"done", open, nil, nil, true, ""},
		{"refused", open, kv(answered), leader, true, "refused by the leader: for a reason"},
		{"refused, and another one leads", open, kv(answered), nil, true, "refused by the leader: for a reason"},
		{"taken away", open, nil, leader, true, "deleted before it was answered"},
		{"asked to resign, and gone", resign, kv(resign), nil, true, ""},
	}
	for _, test := range tests {
		a := &asked{request: test.asked, epoch: alive{}}
		done, err := a.judge(t.Context(), test.mine, test.leader)
		if done != test.done || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", test.name, done, err)
		}
		if refused := strings.HasPrefix(test.name, "refused"); errors.Is(err, ErrRefused) != refused {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
