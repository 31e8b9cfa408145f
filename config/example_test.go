package config_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/session"
)

// The examples run against a real etcd: integration gives them one, and where there is none they are skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("ETCDKIT_ENDPOINTS") == "" {
		if err := flag.Set("test.skip", "^Example"); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// connect is what a program does once. The prefix is new each time, so that the examples find nothing of an earlier run.
func connect() (s *session.Session, closeBoth func()) {
	client, err := clientv3.New(session.ClientConfig(strings.Split(os.Getenv("ETCDKIT_ENDPOINTS"), ",")...))
	if err != nil {
		log.Fatal(err)
	}
	s = session.New(client, session.WithPrefix(fmt.Sprintf("examples-%d", time.Now().UnixNano())))
	return s, func() {
		if err := s.Close(context.Background()); err != nil {
			log.Print(err)
		}
		client.Close()
	}
}

// Settings is what the examples configure.
type Settings struct {
	Timeout time.Duration `json:"timeout"`
	Level   string        `json:"level"`
	HTTP    struct {
		Port int `json:"port"`
	} `json:"http"`
}

// Validate keeps a bad edit from being used.
func (s Settings) Validate() error {
	if s.Timeout <= 0 {
		return errors.New("timeout: must be more than zero")
	}
	return nil
}

func Example() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()

	v, err := config.Watch(ctx, s, "app/api", Settings{Timeout: time.Second, Level: "info"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("nothing in etcd:", v.Get().Timeout, v.Get().Level)

	rev, err := config.NewStore(s, "app/api").Put(ctx, 0, []byte(`{"timeout":"5s"}`))
	if err != nil {
		log.Fatal(err)
	}
	for ch, err := range v.Changes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if ch.Revision == rev {
			break
		}
	}
	fmt.Println("written:", v.Get().Timeout, v.Get().Level)
	// Output:
	// nothing in etcd: 1s info
	// written: 5s info
}

// A bad edit is refused, and says so.
func ExampleValue_Changes() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()

	v, err := config.Watch(ctx, s, "app/api", Settings{Timeout: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	st := config.NewStore(s, "app/api")
	edits := []string{`{"timeout":"5s"}`, `{"timeout":"-5s"}`}
	for ch, err := range v.Changes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		var refused *config.RefusedError
		if errors.As(ch.Refused, &refused) {
			fmt.Println("refused:", refused.Err)
		}
		fmt.Println(ch.Fields, v.Get().Timeout)
		if len(edits) == 0 {
			return
		}
		if _, err := st.Put(ctx, config.AnyRevision, []byte(edits[0])); err != nil {
			log.Fatal(err)
		}
		edits = edits[1:]
	}
	// Output:
	// [] 1s
	// [timeout] 5s
	// refused: timeout: must be more than zero
	// [] 5s
}

// Each key of a tree is a field, and its text needs no quotes.
func ExampleWithTree() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()

	_, err := config.NewStore(s, "app/web", config.WithTree()).PutAll(ctx, 0, map[string][]byte{
		"timeout":   []byte("5s"),
		"level":     []byte("debug"),
		"http/port": []byte("8080"),
	})
	if err != nil {
		log.Fatal(err)
	}
	v, err := config.Watch(ctx, s, "app/web", Settings{Timeout: time.Second}, config.WithTree())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", v.Get())
	// Output: {Timeout:5s Level:debug HTTP:{Port:8080}}
}

// Two people edit at once: the second is told what the first wrote.
func ExampleStore_Put() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()

	st := config.NewStore(s, "app/api")
	_, rev, err := st.Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := st.Put(ctx, rev, []byte(`{"timeout":"5s"}`), config.WithAuthor("ann")); err != nil {
		log.Fatal(err)
	}
	_, err = st.Put(ctx, rev, []byte(`{"timeout":"9s"}`), config.WithAuthor("bob"))
	var conflict *config.ConflictError
	if errors.As(err, &conflict) {
		fmt.Printf("theirs %s, yours %s\n", conflict.Values[""], conflict.Yours[""])
	}
	_, err = st.Put(ctx, conflict.Theirs, []byte(`{"timeout":"none"}`), config.WithCheck(config.Check(Settings{})))
	fmt.Println(errors.Is(err, config.ErrRefused), err)
	// Output:
	// theirs {"timeout":"5s"}, yours {"timeout":"9s"}
	// true config "app/api": refused: timeout: time: invalid duration "none"
}

func ExampleStore_Rollback() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()

	st := config.NewStore(s, "app/api")
	for _, timeout := range []time.Duration{time.Second, time.Hour} {
		data, err := config.Marshal(Settings{Timeout: timeout, Level: "info"})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := st.Put(ctx, config.AnyRevision, data); err != nil {
			log.Fatal(err)
		}
	}
	diff, err := st.Diff(ctx, 1, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(diff)
	if _, err := st.Rollback(ctx, 1); err != nil {
		log.Fatal(err)
	}
	history, err := st.History(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(history[0].Number, history[0].Comment)
	// Output:
	//  {
	// -  "timeout": "1s",
	// +  "timeout": "1h0m0s",
	//    "level": "info",
	//    "http": {
	//      "port": 0
	// ...
	// 3 rollback to version 1
}

func ExampleFixed() {
	handler := func(v *config.Value[Settings]) string { return v.Get().Level }
	fmt.Println(handler(config.Fixed(Settings{Level: "debug"})))
	// Output: debug
}
