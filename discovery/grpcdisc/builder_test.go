package grpcdisc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/ringhash"
	"google.golang.org/grpc/status"

	"etcdkit/discovery"
	"etcdkit/session"
)

// TestMain has gRPC believe that there is a proxy, before it looks for the first time and remembers: it then resolves by other code, which a list has to get
// through, too. To this machine no proxy is used.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if err := os.Setenv(name, "http://proxy.invalid:3128"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// policies are configured by name; "" is what DialOptions take.
var policies = []string{"", "pick_first", "round_robin", "least_request_experimental"}

// unreachable returns a session whose etcd does not answer.
func unreachable(t *testing.T) *session.Session {
	t.Helper()
	client, err := clientv3.New(session.ClientConfig("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	s := session.New(client)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// given has a Builder follow a service of which the test says what there is.
func given(b *Builder, name string) *service {
	sv := &service{name: name, users: 1, cancel: func() {}, done: make(chan struct{}), listeners: make(map[chan<- struct{}]bool)}
	close(sv.done)
	b.services[name] = sv
	return sv
}

// raw passes bytes through.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error { *v.(*[]byte) = b; return nil }
func (raw) Name() string                    { return "raw" }

// serve starts a server that answers with a name, and returns its address.
func serve(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		answer := []byte(name)
		return stream.SendMsg(&answer)
	}))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(listener)
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-served
	})
	return listener.Addr().String()
}

// ask returns who answers.
func ask(t *testing.T, conn *grpc.ClientConn, opts ...grpc.CallOption) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	question, answer := []byte{}, []byte{}
	err := conn.Invoke(ctx, "/test/Name", &question, &answer, append(opts, grpc.ForceCodec(raw{}))...)
	return string(answer), err
}

func connect(t *testing.T, target, policy string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if policy != "" {
		opts = append(opts, grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig":[{%q:{}}]}`, policy)))
	}
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestAnEmptyServiceIsAnErrorAtOnce, with its name, under every policy, at the start and later, with the dialer and without; and it heals.
func TestAnEmptyServiceIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	some := &discovery.Snapshot{Instances: []discovery.Instance{{ID: "a", Addr: serve(t, "a")}, {ID: "b", Addr: serve(t, "b")}}}
	nobody := &discovery.Snapshot{Draining: some.Instances}
	b := NewBuilder(unreachable(t))
	for _, policy := range policies {
		for _, dialer := range []bool{true, false} {
			t.Run(fmt.Sprint(policy, " ", dialer), func(t *testing.T) {
				b.mu.Lock()
				name := fmt.Sprint("team/", policy, dialer)
				sv := given(b, name)
				b.mu.Unlock()
				sv.tell(news{snapshot: nobody})
				opts := []grpc.DialOption{grpc.WithResolvers(b)}
				if dialer {
					opts = b.DialOptions()
				}
				conn := connect(t, "etcdkit:///"+name, policy, opts...)
				fails := func() {
					t.Helper()
					for end := time.Now().Add(20 * time.Second); ; {
						begun := time.Now()
						_, err := ask(t, conn)
						if err == nil && time.Now().Before(end) {
							continue // the news are on their way
						}
						if took := time.Since(begun); took > 5*time.Second {
							t.Errorf("the error took %v", took)
						}
						hasReason := strings.Contains(err.Error(), name) && strings.Contains(err.Error(), "no instance")
						if status.Code(err) != codes.Unavailable || !hasReason {
							t.Errorf("where there is nobody: %v", err)
						}
						return
					}
				}
				fails()
				for range 2 {
					waited := make(chan error, 1)
					go func() {
						_, err := ask(t, conn, grpc.WaitForReady(true))
						waited <- err
					}()
					sv.tell(news{snapshot: some})
					if err := <-waited; err != nil {
						t.Errorf("a request that waits: %v", err)
					}
					sv.tell(news{snapshot: nobody})
					fails()
				}
			})
		}
	}
}

// TestNothingIsKnown: gRPC is told why.
func TestNothingIsKnown(t *testing.T) {
	t.Parallel()
	b := NewBuilder(unreachable(t))
	conn := connect(t, "etcdkit:///api", "", b.DialOptions()...)
	_, err := ask(t, conn)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), `"api": there is no list yet`) {
		t.Errorf("without etcd: %v", err)
	}
	for target, want := range map[string]string{"etcdkit://api": "three slashes: etcdkit:///api", "etcdkit:///": "names no service"} {
		_, err := ask(t, connect(t, target, "", b.DialOptions()...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", target, err)
		}
	}
	for want, opts := range map[string][]Option{
		"WithLastGood": {WithLastGood("")}, "the name is empty": {WithPort("")}, "have one port": {WithPort("a"), WithEndpoints()},
	} {
		b := NewBuilder(unreachable(t), opts...)
		_, err := ask(t, connect(t, "etcdkit:///api", "", b.DialOptions()...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestConnectionsShareAService, and its list outlasts them.
func TestConnectionsShareAService(t *testing.T) {
	t.Parallel()
	b := NewBuilder(unreachable(t))
	addr := serve(t, "a")
	one, two := connect(t, "etcdkit:///api", "", b.DialOptions()...), connect(t, "etcdkit:///api", "", b.DialOptions()...)
	one.Connect()
	two.Connect()
	var sv *service
	for users := 0; users < 2; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		if sv = b.services["api"]; sv != nil {
			users = sv.users
		}
		b.mu.Unlock()
	}
	sv.tell(news{snapshot: &discovery.Snapshot{Instances: []discovery.Instance{{ID: "a", Addr: addr}}}})
	for _, conn := range []*grpc.ClientConn{one, two} {
		if name, err := ask(t, conn); name != "a" || err != nil {
			t.Errorf("%q, %v", name, err)
		}
		_ = conn.Close()
	}
	select {
	case <-sv.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the service is followed though nobody needs it")
	}
	begun := time.Now()
	if name, err := ask(t, connect(t, "etcdkit:///api", "", b.DialOptions()...)); name != "a" || err != nil {
		t.Errorf("a connection that comes back: %q, %v", name, err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("it took %v, though the list was known", took)
	}
}

func TestListsRememberedAreBounded(t *testing.T) {
	t.Parallel()
	b := NewBuilder(nil)
	for i := range maxLast + 10 {
		sv := given(b, fmt.Sprint(i))
		sv.tell(news{snapshot: new(discovery.Snapshot)})
		b.release(sv)
	}
	if len(b.last) != maxLast || len(b.services) != 0 {
		t.Errorf("%d lists are remembered, %d services followed", len(b.last), len(b.services))
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	s := &discovery.Snapshot{
		Instances: []discovery.Instance{
			{ID: "a", Addr: "10.0.0.1:80", Weight: 7, Zone: "z", Ports: map[string]int{"grpc": 81}},
			{ID: "b", Addr: "10.0.0.2:80"},
			{ID: "c", Addr: "10.0.0.1:80", Ports: map[string]int{"grpc": 81}}, // a, started again
		},
		Probation: map[string]time.Time{"c": time.Now()},
	}
	got := endpointsOf(s, nil)
	if len(got) != 2 || got[0].Addresses[0].Addr != "10.0.0.1:80" || got[1].Addresses[0].Addr != "10.0.0.2:80" {
		t.Fatalf("endpoints: %v", got)
	}
	inst, ok := FromEndpoint(got[0])
	if !ok || inst.ID != "a" || inst.Zone != "z" || weight.FromEndpoint(got[0]).Weight != 7 || ringhash.HashKey(got[0]) != "a" {
		t.Errorf("attributes: %v", got[0].Attributes)
	}
	if inst, ok := FromAddress(addressesOf(got)[1]); !ok || inst.ID != "b" || weight.FromEndpoint(got[1]).Weight != 1 {
		t.Errorf("attributes: %v", got[1].Attributes)
	}
	if _, ok := FromEndpoint(resolver.Endpoint{}); ok {
		t.Error("a stranger's endpoint has an instance")
	}
	port := "grpc"
	if got := endpointsOf(s, &port); len(got) != 1 || got[0].Addresses[0].Addr != "10.0.0.1:81" {
		t.Errorf("with a port: %v", got)
	}
	if !same(got[0], endpointsOf(s, nil)[0]) || same(got[0], got[1]) {
		t.Error("endpoints are compared by what is in them")
	}
}

// TestDialer: what fails for the caller's sake is not reported, the reason for having nobody is.
func TestDialer(t *testing.T) {
	t.Parallel()
	b := NewBuilder(nil)
	reason := &discovery.NoInstanceError{Service: "team/api 100%"}
	if _, err := b.dial(t.Context(), noEndpoint(reason).Addresses[0].Addr); err == nil || err.Error() != reason.Error() {
		t.Errorf("dialing nowhere: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.dial(ctx, "127.0.0.1:1"); !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("dialing under an ended ctx: %v", err)
	}
}
