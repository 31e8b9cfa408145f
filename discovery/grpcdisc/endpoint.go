package grpcdisc

import (
	"maps"
	"net/url"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/ringhash"

	"etcdkit/discovery"
)

// nowhere is a place of which connecting fails at once, everywhere and without a network: a file below one that is no directory. See noEndpoint.
const nowhere = "unix:/dev/null/"

type attributeKey struct{}

// attribute is what a balancer can ask for about an instance.
type attribute struct{ *discovery.Instance }

// Equal tells gRPC whether anything changed.
func (a attribute) Equal(other any) bool {
	o, ok := other.(attribute)
	return ok && (a.Instance == o.Instance || equal(a.Instance, o.Instance))
}

func equal(a, b *discovery.Instance) bool {
	return a.ID == b.ID && a.Addr == b.Addr && a.Zone == b.Zone && a.Weight == b.Weight && a.Version == b.Version && a.Protocol == b.Protocol &&
		maps.Equal(a.Ports, b.Ports) && maps.Equal(a.Labels, b.Labels)
}

// FromEndpoint returns the instance that an endpoint stands for: for balancers, which get endpoints. It is false for those of other resolvers, and for all
// behind a proxy, where gRPC drops attributes.
func FromEndpoint(e resolver.Endpoint) (discovery.Instance, bool) {
	return fromAttributes(e.Attributes)
}

// FromAddress does what FromEndpoint does, for balancers that get addresses, such as those of package base.
func FromAddress(a resolver.Address) (discovery.Instance, bool) {
	return fromAttributes(a.BalancerAttributes) //nolint:staticcheck // balancers that get addresses have nothing else
}

func fromAttributes(a *attributes.Attributes) (discovery.Instance, bool) {
	if found, ok := a.Value(attributeKey{}).(attribute); ok {
		return *found.Instance, true
	}
	return discovery.Instance{}, false
}

// endpointsOf returns a list in the order of the IDs. Of those at one address, of which one is left over from a former life at most times, gRPC gets one: that
// which is not on probation, or else the last one.
func endpointsOf(s *discovery.Snapshot, port *string) []resolver.Endpoint {
	endpoints, byAddr := make([]resolver.Endpoint, 0, len(s.Instances)), make(map[string]int, len(s.Instances))
	for i := range s.Instances {
		inst := &s.Instances[i]
		addr, ok := addrOf(inst, port)
		if !ok {
			continue
		}
		if at, taken := byAddr[addr]; taken {
			if _, doubtful := s.Probation[inst.ID]; !doubtful {
				endpoints[at] = newEndpoint(inst, addr)
			}
			continue
		}
		byAddr[addr] = len(endpoints)
		endpoints = append(endpoints, newEndpoint(inst, addr))
	}
	return endpoints
}

func addrOf(inst *discovery.Instance, port *string) (string, bool) {
	if port == nil {
		return inst.Addr, true
	}
	return inst.AddrOf(*port)
}

// newEndpoint has attributes that make no difference to connections, which stay when they change.
func newEndpoint(inst *discovery.Instance, addr string) resolver.Endpoint {
	e := resolver.Endpoint{
		Addresses:  []resolver.Address{{Addr: addr}},
		Attributes: attributes.New(attributeKey{}, attribute{inst}),
	}
	e = weight.Set(e, weight.EndpointInfo{Weight: uint32(max(inst.Weight, 1))})
	return ringhash.SetHashKey(e, inst.ID)
}

// noEndpoint stands for an empty list. gRPC's policies say in different ways that a list is empty, most without the reason, and some make a
// panic of an endpoint without an address. This one has an address, of which connecting fails at once with the reason in the error.
func noEndpoint(reason error) resolver.Endpoint {
	return resolver.Endpoint{Addresses: []resolver.Address{{Addr: nowhere + url.PathEscape(reason.Error())}}}
}

// addressesOf is for balancers that know of no endpoints.
func addressesOf(endpoints []resolver.Endpoint) []resolver.Address {
	addresses := make([]resolver.Address, len(endpoints))
	for i, e := range endpoints {
		addresses[i] = e.Addresses[0]
		addresses[i].BalancerAttributes = e.Attributes //nolint:staticcheck // for balancers that get addresses
	}
	return addresses
}

func same(a, b resolver.Endpoint) bool {
	return a.Addresses[0].Addr == b.Addresses[0].Addr && a.Attributes.Equal(b.Attributes)
}
