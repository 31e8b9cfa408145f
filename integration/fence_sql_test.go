package integration

import (
	"database/sql"
	"fmt"
	"go/parser"
	"go/token"
	"math/bits"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // a real database that needs no server

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// account is a row in a database, used by the statements in the doc of package lock/fence, word for word.
type account struct {
	t            testing.TB
	db           *sql.DB
	claim, write string
}

func newAccount(t testing.TB) *account {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "bank.db")+"?_pragma=busy_timeout(10000)&_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // a failed close of a scratch database changes nothing
	statements := documented(t)
	if len(statements) != 3 {
		t.Fatalf("the doc has the statements %q, want three", statements)
	}
	for _, s := range []string{statements[0], `INSERT INTO account (id, balance) VALUES ('alice', 0)`} {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return &account{t: t, db: db, claim: statements[1], write: statements[2]}
}

// documented returns the SQL in the doc of package fence.
func documented(t testing.TB) (statements []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "lock", "fence", "doc.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(file.Doc.Text()) {
		if code, ok := strings.CutPrefix(line, "\t"); ok && strings.Contains(code, ";") {
			statements = append(statements, strings.TrimSpace(code))
		}
	}
	return statements
}

// exec tells whether a statement found the row and was not refused.
func (a *account) exec(statement string, args ...any) bool {
	a.t.Helper()
	result, err := a.db.Exec(statement, args...)
	if err != nil {
		a.t.Errorf("%s: %v", statement, err)
		return false
	}
	rows, err := result.RowsAffected()
	if err != nil {
		a.t.Error(err)
	}
	return rows == 1
}

func (a *account) take(id string, token session.Token) bool {
	a.t.Helper()
	return a.exec(a.claim, int64(token), id, int64(token))
}

func (a *account) set(balance int, token session.Token) bool {
	a.t.Helper()
	return a.exec(a.write, balance, int64(token), "alice", int64(token))
}

func (a *account) balance() (balance int) {
	a.t.Helper()
	if err := a.db.QueryRow(`SELECT balance FROM account WHERE id = 'alice'`).Scan(&balance); err != nil {
		a.t.Error(err)
	}
	return balance
}

// Two real holders of one lock, the first of which does not know yet that it was overtaken.
func TestFenceSQLRefusesAnOvertakenHolder(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	prefix := cluster.Prefix(t)
	first, second := open(t, cluster.Shared(t), prefix), open(t, cluster.Shared(t), prefix)

	old := mustLock(t, lock.NewMutex(first, "alice"))
	if !a.take("alice", old.Token()) || !a.set(10, old.Token()) || !a.set(20, old.Token()) {
		t.Fatal("the holder's own writes were refused")
	}
	if _, err := lock.Break(soon(t), second, "alice"); err != nil {
		t.Fatal(err)
	}
	next := mustLock(t, lock.NewMutex(second, "alice"))
	if next.Token() <= old.Token() {
		t.Fatalf("token %d after %d", next.Token(), old.Token())
	}
	if !a.set(30, old.Token()) {
		t.Error("refused before anybody newer came: the doc says that this counts as done in time")
	}
	if !a.take("alice", next.Token()) {
		t.Fatal("the next holder cannot claim the row")
	}
	seen := a.balance()
	if a.set(0, old.Token()) || a.take("alice", old.Token()) {
		t.Error("the overtaken holder was let through")
	}
	if !a.set(seen+1, next.Token()) || a.balance() != 31 {
		t.Errorf("balance %d, want 31", a.balance())
	}
	if a.take("bob", next.Token()) {
		t.Error("a row that does not exist was claimed")
	}
}

// Two holders, an old and a new one, each add one to the balance: in every order in which their statements can reach the database,
// no acknowledged addition is lost. And the doc's order of statements matters: read first, claim then does lose some.
func TestFenceSQLLosesNoUpdate(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	if lost := a.lostUpdates([]string{"claim", "read", "write"}); len(lost) != 0 {
		t.Errorf("updates lost in the order %q (1 is the new holder)", lost)
	}
	if lost := a.lostUpdates([]string{"read", "claim", "write"}); len(lost) == 0 {
		t.Error("no update was lost with the wrong order of statements: does the test see any?")
	}
}

// lostUpdates runs the steps of two holders in all orders, and returns those orders in which an acknowledged addition was lost.
func (a *account) lostUpdates(steps []string) (orders []string) {
	a.t.Helper()
	n := len(steps)
	for mask := range 1 << (2 * n) { // bit i: whose turn the i-th step is
		if bits.OnesCount(uint(mask)) != n {
			continue
		}
		if _, err := a.db.Exec(`UPDATE account SET balance = 0, token = 0`); err != nil {
			a.t.Fatal(err)
		}
		var written int
		holders := [2]holder{{token: 1}, {token: 2}}
		for i := range 2 * n {
			if h := &holders[mask>>i&1]; !h.refused {
				written += h.step(a, steps[h.done])
			}
		}
		if a.balance() != written {
			orders = append(orders, fmt.Sprintf("%0*b", 2*n, bits.Reverse(uint(mask))>>(bits.UintSize-2*n)))
		}
	}
	return orders
}

// holder is one that goes through its steps until it is refused.
type holder struct {
	token   session.Token
	seen    int // the balance that it has read
	done    int
	refused bool
}

// step does the next thing, and returns how many additions it got acknowledged.
func (h *holder) step(a *account, what string) (written int) {
	a.t.Helper()
	h.done++
	switch what {
	case "claim":
		h.refused = !a.take("alice", h.token)
	case "read":
		h.seen = a.balance()
	case "write":
		if a.set(h.seen+1, h.token) {
			return 1
		}
	}
	return 0
}
