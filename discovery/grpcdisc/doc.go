// Package grpcdisc has gRPC connections follow the instances of a service, through everything that happens to etcd.
//
//	b := grpcdisc.NewBuilder(s)
//	conn, err := grpc.NewClient("etcdkit:///billing/api", append(b.DialOptions(), grpc.WithTransportCredentials(creds))...)
//
//	reg, err := discovery.Register(ctx, s, "billing/api", discovery.Instance{Addr: addr}) // the server's side
//	defer grpcdisc.Shutdown(ctx, reg, srv)
//
// Nothing is registered with gRPC for the whole program: a connection resolves by the Builder that it was given, by DialOptions or grpc.WithResolvers.
//
// # Guarantees
//
// A connection has the instances that take requests, in the order of their IDs, and each change within a tenth of a second: the first list at once, the
// next ones 50 ms apart at least. An outage of etcd leaves the list as it is. What follows a service never gives up, whatever the error; connections
// of one Builder to one service share it.
//
// A service without instances fails requests at once, with Unavailable and the name of the service, unless they wait (grpc.WaitForReady). So
// does one of which nothing is known after three seconds, with the reason. Both heal by themselves.
//
// A connection that had no requests for half an hour forgets its list (gRPC calls it idle). The Builder remembers it, for a request that
// comes while etcd is down: where etcd has not answered within half a second, that list is used. With WithLastGood, the next process has it, too.
//
// Where etcd was restored from a backup, or is another cluster, servers have to register again. Until half as many as before have done so, for two
// TTLs of the Builder's session at most, those of the list before are kept, beside those that are there.
//
// Shutdown has a server leave without a failed request, as long as its requests end within the time that it is given; also where etcd is
// down, as long as there are others.
//
// # Not guaranteed
//
// How requests are spread is up to gRPC's policy, which is pick_first, and so one instance for all, where grpc.WithDefaultServiceConfig (or
// DialOptions) says nothing else. What they read of an instance:
//
//   - ring_hash has places by Weight, and keeps them with the ID, also where an address changes.
//   - pick_first with shuffleAddressList goes by Weight where GRPC_EXPERIMENTAL_PF_WEIGHTED_SHUFFLING is set.
//   - weighted_round_robin goes by what servers report (package orca), and no policy of gRPC by Weight and turn; round_robin,
//     least_request_experimental and outlier_detection_experimental know of no weights.
//   - No policy of gRPC knows of zones. One of your own finds all of the instance: FromEndpoint, FromAddress.
//
// Behind a proxy (HTTPS_PROXY) gRPC drops these attributes. DialOptions connects directly.
//
// An instance on probation (see package discovery) gets requests. gRPC's policies pass over it where it cannot be connected to; that it is then dropped
// from the list takes the dialer of DialOptions.
//
// # Cost
//
// One discovery.View for each service that a Builder has connections to.
package grpcdisc
