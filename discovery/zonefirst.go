package discovery

import (
	"errors"
	"math/rand/v2"
)

// ZoneOption changes a default of ZoneFirst.
type ZoneOption func(*zoneOptions)

type zoneOptions struct {
	capacity float64
}

// WithCapacity sets how much of an even share the own zone must have in order to keep all requests; the default is 0.7. It is above 0, and at most 1.
func WithCapacity(share float64) ZoneOption {
	return func(o *zoneOptions) { o.capacity = share }
}

// ZonePicker keeps requests in a zone. It is made by ZoneFirst.
type ZonePicker struct {
	zone    string
	inner   Picker
	options zoneOptions
	kept    *kept[zones]
}

// zones is a snapshot in two parts.
type zones struct {
	own, others *Snapshot // nil where there is nobody
	share       float64   // of requests that stay in the own zone
}

// ZoneFirst has inner choose among the instances of a zone, which is the caller's own: it is near, and traffic to it is cheap. If the weights of
// the zone's instances add up to less than 0.7 of an even share (the sum of all divided by the number of zones; see WithCapacity), it gets as much less of the
// requests, and the others go to the other zones' instances, so that nobody there is overrun while most of a zone is away. Where the own
// zone has nobody, or is "", all instances are alike.
//
// inner sees two services, one of each part. To combine it with ConsistentHash, use With.
func ZoneFirst(zone string, inner Picker, opts ...ZoneOption) *ZonePicker {
	z := &ZonePicker{zone: zone, inner: inner, options: zoneOptions{capacity: 0.7}, kept: new(kept[zones])}
	for _, opt := range opts {
		opt(&z.options)
	}
	return z
}

// With returns a Picker that shares everything with this one, but has another one choose: z.With(ring.Key("user-7")).
func (z *ZonePicker) With(inner Picker) *ZonePicker {
	return &ZonePicker{zone: z.zone, inner: inner, options: z.options, kept: z.kept}
}

// Pick has inner pick from the own zone, or from the others.
func (z *ZonePicker) Pick(s *Snapshot) (*Instance, func(error), error) {
	switch {
	case z.inner == nil:
		return nil, nil, errors.New("ZoneFirst: there is no inner Picker")
	case !(z.options.capacity > 0 && z.options.capacity <= 1): // which NaN is not
		return nil, nil, errors.New("ZoneFirst: WithCapacity: must be above 0 and at most 1")
	case len(s.Instances) == 0:
		return nil, nil, ErrNoInstance
	}
	parts := z.kept.find(s)
	if parts == nil {
		parts = z.kept.add(s, z.divide)
	}
	switch {
	case parts.own == nil:
		return z.inner.Pick(s)
	case parts.others == nil, parts.share >= 1, rand.Float64() < parts.share:
		return z.inner.Pick(parts.own)
	}
	return z.inner.Pick(parts.others)
}

func (z *ZonePicker) divide(s *Snapshot, _ []keptValue[zones]) *zones {
	weights := make(map[string]uint64)
	total := uint64(0)
	var own, others []Instance
	for i := range s.Instances {
		inst := &s.Instances[i]
		weights[inst.Zone] += weightOf(inst)
		total += weightOf(inst)
		if inst.Zone == z.zone {
			own = append(own, *inst)
		} else {
			others = append(others, *inst)
		}
	}
	if z.zone == "" || len(own) == 0 {
		return new(zones)
	}
	if len(others) == 0 {
		return &zones{own: s}
	}
	even := float64(total) / float64(len(weights))
	return &zones{own: s.part(own), others: s.part(others), share: float64(weights[z.zone]) / even / z.options.capacity}
}
