package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"etcdkit/session"
)

// connection is how to reach etcd. The names of the flags are etcdctl's.
type connection struct {
	endpoints         []string
	cacert, cert, key string
	skipVerify        bool
	user, password    string
	dialTimeout       time.Duration
	commandTimeout    time.Duration

	cfg clientv3.Config // what prepare makes of them
}

const endpointsFlag = "endpoints"

func (c *connection) addFlags(to *pflag.FlagSet) {
	flags := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	flags.StringSliceVar(&c.endpoints, endpointsFlag, []string{"127.0.0.1:2379"}, "members of the etcd cluster, host:port or URL, with commas between them")
	flags.StringVar(&c.cacert, "cacert", "", "verify the servers' certificates with this CA bundle `file`")
	flags.StringVar(&c.cert, "cert", "", "identify ourselves with this certificate `file`")
	flags.StringVar(&c.key, "key", "", "the `file` with the private key of --cert")
	flags.BoolVar(&c.skipVerify, "insecure-skip-tls-verify", false, "do not verify the servers' certificates: for tests only")
	flags.StringVar(&c.user, "user", "", "user, as `name[:password]`")
	flags.StringVar(&c.password, "password", "", "password of --user; it shows in the list of processes, its variable does not")
	flags.DurationVar(&c.dialTimeout, "dial-timeout", 2*time.Second, "how long to wait for a connection")
	flags.DurationVar(&c.commandTimeout, "command-timeout", 5*time.Second, "how long to wait for the answer to a request")
	flags.VisitAll(func(flag *pflag.Flag) { bindVariables(flags, flag.Name, ourVariables, theirVariables) })
	to.AddFlagSet(flags)
}

// prepare checks the flags, and reads the files that they name, before anything is done: what is wrong with them is wrong with the
// command line.
func (c *connection) prepare() (err error) {
	c.cfg, err = c.config()
	return err
}

// open returns a client that is connected, or an error that says why it cannot be. ctx bounds the attempt, not the client: what is
// held has to be released after a signal.
func (c *connection) open(ctx context.Context) (*clientv3.Client, error) {
	// Without a user first: to one who logs in, the client does not tell why it cannot connect.
	anonymous := c.cfg
	anonymous.Username, anonymous.Password = "", ""
	client, err := clientv3.New(anonymous)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if err := c.connect(ctx, client); err != nil {
		_ = client.Close() // nothing was asked of it yet
		return nil, c.unreachable(because(ctx, err))
	}
	if c.cfg.Username == "" {
		return client, nil
	}
	_ = client.Close()
	return logIn(ctx, c.cfg)
}

// logIn returns a client that has shown its password.
func logIn(ctx context.Context, cfg clientv3.Config) (*clientv3.Client, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, end)()
	cfg.Context = life
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", cfg.Username, because(ctx, err))
	}
	return client, nil
}

// config turns the flags into a client's configuration.
func (c *connection) config() (clientv3.Config, error) {
	var endpoints []string
	for _, e := range c.endpoints {
		if e = strings.TrimSpace(e); e != "" {
			endpoints = append(endpoints, e)
		}
	}
	if len(endpoints) == 0 {
		return clientv3.Config{}, errors.New("no endpoint: give --endpoints host:port")
	}
	switch {
	case c.dialTimeout <= 0:
		return clientv3.Config{}, fmt.Errorf("--dial-timeout %v: must be more than zero", c.dialTimeout)
	case c.commandTimeout <= 0:
		return clientv3.Config{}, fmt.Errorf("--command-timeout %v: must be more than zero", c.commandTimeout)
	}
	cfg := session.ClientConfig(endpoints...)
	cfg.DialTimeout = c.dialTimeout
	cfg.Logger = zap.NewNop() // a client that logs would break the promise of one line for each error
	var err error
	if cfg.TLS, err = c.tls(); err != nil {
		return cfg, err
	}
	cfg.Username, cfg.Password, err = c.credentials()
	return cfg, err
}

// credentials returns the user and the password: both or neither.
func (c *connection) credentials() (user, password string, err error) {
	user, password, inUser := strings.Cut(c.user, ":")
	if !inUser {
		password = c.password
	}
	switch {
	case user == "" && (inUser || password != ""):
		return "", "", errors.New("a password, but no user: give --user or ETCDKIT_USER")
	case user != "" && password == "":
		return "", "", fmt.Errorf("user %q: no password: give --user name:password, --password or ETCDKIT_PASSWORD", user)
	}
	return user, password, nil
}

// connect waits until one endpoint is connected. A client does not wait by itself, and a request that finds no connection is sent
// again and again until its time is over, and then says only that: here the reason is told, and at once.
func (c *connection) connect(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, c.dialTimeout)
	defer cancel()
	conn := client.ActiveConnection()
	conn.Connect()
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure:
			return refusal(ctx, conn)
		}
		if !conn.WaitForStateChange(ctx, state) {
			return ctx.Err()
		}
	}
}

// refusal asks a broken connection why it is broken: a request that is not repeatable fails with the reason.
func refusal(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{})
	return err // nil if it was connected just now
}

func (c *connection) unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no connection within %v", c.dialTimeout)
	}
	return fmt.Errorf("etcd at %s: %w", c.where(), err)
}

// where names etcd in texts.
func (c *connection) where() string { return strings.Join(c.endpoints, ",") }

// request bounds a single request.
func (c *connection) request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.commandTimeout,
		fmt.Errorf("no answer from etcd at %s within %v", c.where(), c.commandTimeout))
}
