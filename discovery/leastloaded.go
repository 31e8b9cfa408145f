package discovery

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// forgiveness is the time in which a latency that was measured loses half of what it counts: 2 to the power of this many nanoseconds, about half
	// a second.
	forgiveness = 29
	// slowest is what a failure counts as, and the most that any call does: what took longer, such as a stream, says nothing about the next one.
	slowest = 10 * time.Second
	// fastest is the latency below which instances are alike. It also keeps the number of requests in flight from being multiplied by nothing.
	fastest = time.Microsecond
	// noise is the difference of loads that is none: by it, the weights decide.
	noise = 1.1
	// distrust is how many times the latency of another instance an unanswered one is expected to have, at most: an instance with nothing but
	// streams is silent, too.
	distrust = 4
)

// clock is where the measured times are counted from: the monotonic clock, whatever happens to the other one.
var clock = time.Now()

// LeastLoadedPicker is made by LeastLoaded.
type LeastLoadedPicker struct {
	kept  kept[loads]
	calls sync.Pool // of *call
}

// loads is what is known about the instances of a snapshot.
type loads struct {
	shares *shares
	nodes  []weighed // by instance
	byID   map[string]*load
}

type weighed struct {
	*load
	ratio float64 // the mean weight to its own
}

// A load is what one instance has to do, as far as this process knows. It has a cache line of its own.
type load struct {
	inFlight atomic.Int64
	latency  atomic.Uint64 // what was measured, and when: see average
	heard    atomic.Int64  // when, by the clock, a call ended, or the first one of those in flight began
	failing  atomic.Bool   // as the last call did
	_        [36]byte
}

// An average of latencies, with the newest counting most: the bits of a float32, in nanoseconds, and below them the time of the last change, in
// ticks of the clock, which begin anew after three days. Both are in one word, since they belong together, and since it is written for
// every call. Zero is that of nothing.
type average uint64

// tick is two to the power of this many nanoseconds.
const tick = 16

func newAverage(latency float64, at time.Duration) average {
	return average(math.Float32bits(float32(latency)))<<32 | average(uint32(at>>tick))
}

func (a average) latency() float64 { return float64(math.Float32frombits(uint32(a >> 32))) }

// age is the time since the last change, none if that was after now: another goroutine may have looked at the clock later and been faster.
func (a average) age(now time.Duration) time.Duration {
	ticks := uint32(now>>tick) - uint32(a)
	if ticks > math.MaxUint32-1<<16 {
		return 0
	}
	return time.Duration(ticks) << tick
}

// LeastLoaded draws two instances at random, by weight, and takes the one with less to do: the latency of its last requests (their moving average)
// times the requests that it has in flight from here, by weight. It learns from done: a failure counts as a latency of ten seconds, so that
// an instance is not favored for failing fast, and a call that was canceled counts only where it took long. What was measured counts for less
// with each second, so that an instance that was slow is tried again within seconds. Of one that has two requests or more and answers none, the latency is
// expected to be the time that it has been silent, up to four times that of the other. Now and then the other of the two is taken, the more often the less
// they differ, so that one with a single long call still gets some. A new instance begins with the average latency of the others.
func LeastLoaded() *LeastLoadedPicker { return new(LeastLoadedPicker) }

// Pick returns the less loaded one of two.
func (p *LeastLoadedPicker) Pick(s *Snapshot) (*Instance, func(error), error) {
	if len(s.Instances) == 0 {
		return nil, nil, ErrNoInstance
	}
	l := p.kept.find(s)
	if l == nil {
		l = p.kept.add(s, newLoads)
	}
	now := time.Since(clock)
	i := l.choose(now)
	node := l.nodes[i].load
	if node.inFlight.Add(1) == 1 {
		node.heard.Store(int64(now))
	}
	c, ok := p.calls.Get().(*call)
	if !ok {
		c = &call{calls: &p.calls}
		c.done = c.end
	}
	c.node, c.begun = node, now
	c.open.Store(true)
	return &s.Instances[i], c.done, nil
}

// A call is what done has to know. It is used again when it has ended, for that is cheaper than to make one for each request.
type call struct {
	node  *load
	begun time.Duration
	open  atomic.Bool
	done  func(error) // end, made once
	calls *sync.Pool
}

// end counts once for each Pick, so that the numbers of requests in flight come out even: a done that is called twice may end another call too
// early, and then the done of that one does nothing.
func (c *call) end(err error) {
	if !c.open.Swap(false) {
		return
	}
	node, begun := c.node, c.begun
	c.calls.Put(c)
	node.done(begun, err)
}

// choose returns the index of the instance to take.
func (l *loads) choose(now time.Duration) int {
	r := rand.Uint64()
	i, j := l.draw(r)
	if i == j {
		return i
	}
	first, second := scores(&l.nodes[i], &l.nodes[j], now)
	if second*noise < first {
		i, j = j, i
		first, second = second, first
	}
	// What the other has in flight could be one long call. At twice the load it is taken in an eighth of the cases, at ten times in a 200th.
	// The random number has more in it than the draw took.
	if second > first*noise && float64(mix(r)>>11)*(2*second*second) < first*first*(1<<53) {
		return j
	}
	return i
}

// draw returns two instances, which are the same only if there is one.
func (l *loads) draw(r uint64) (int, int) {
	n := len(l.nodes)
	if n == 1 {
		return 0, 0
	}
	i, j := 0, 0
	if l.shares.total < 1<<16 { // a half of the number is much more than that
		i, j = l.shares.random(r), l.shares.random(r<<32)
	} else {
		i, j = l.shares.random(r), l.shares.random(rand.Uint64())
	}
	for range 4 {
		if j != i {
			return i, j
		}
		j = l.shares.random(rand.Uint64())
	}
	return i, (i + 1 + rand.IntN(n-1)) % n // one has nearly all the weight
}

// scores are smaller the sooner an instance is expected to answer one more request.
func scores(a, b *weighed, now time.Duration) (first, second float64) {
	aTakes, bTakes := a.expected(now), b.expected(now)
	aHas, bHas := a.inFlight.Load(), b.inFlight.Load()
	first = max(aTakes, min(a.silence(aHas, now), distrust*bTakes)) * (float64(aHas)*a.ratio + 1)
	second = max(bTakes, min(b.silence(bHas, now), distrust*aTakes)) * (float64(bHas)*b.ratio + 1)
	return first, second
}

// silence is for how long an instance with so many requests has answered none: what was measured fades meanwhile, but it is not idle. A single one
// can be a long call.
func (n *load) silence(inFlight int64, now time.Duration) float64 {
	if inFlight < 2 {
		return 0
	}
	return float64(min(now-time.Duration(n.heard.Load()), slowest))
}

// expected returns the latency, in nanoseconds, as it counts now.
func (n *load) expected(now time.Duration) float64 {
	a := average(n.latency.Load())
	return max(a.latency()*fading(a.age(now)), float64(fastest))
}

// observe adds what a call took, at a time. Of two calls that end at the same moment one may be lost, which an average can bear.
func (n *load) observe(took, now time.Duration) {
	latency := float64(min(took, slowest))
	if a := average(n.latency.Load()); a != 0 {
		keep := fading(max(a.age(now), 1<<tick)) // a tick at least, or the calls of a busy instance would count for nothing
		latency = a.latency()*keep + latency*(1-keep)
	}
	n.latency.Store(uint64(newAverage(latency, now)))
}

// fading is how much of what was measured some time ago still counts: half of it for each half second, with straight lines between these points,
// since all of this is estimated and math.Exp takes its time.
func fading(age time.Duration) float64 {
	switch halves := age >> forgiveness; {
	case age <= 0:
		return 1
	case halves > 60:
		return 0
	default:
		rest := float64(age-halves<<forgiveness) / (2 << forgiveness)
		return (1 - rest) * math.Float64frombits(uint64(1023-halves)<<52) // 2 to the power of -halves
	}
}

// done ends a call that was begun at a time. A second call for the same one does little harm, and none that lasts.
func (n *load) done(begun time.Duration, err error) {
	now := time.Since(clock)
	if !canceled(err) { // which is no answer
		n.heard.Store(int64(now))
	}
	release(&n.inFlight)
	took := now - begun
	switch {
	case err == nil:
		n.observe(took, now)
		if n.failing.Load() { // which saves the write that all cores would wait for
			n.failing.Store(false)
		}
	case !canceled(err):
		n.observe(slowest, now)
		n.failing.Store(true)
	case float64(took) > n.expected(now):
		n.observe(took, now)
	}
}

func newLoads(s *Snapshot, older []keptValue[loads]) *loads {
	now := time.Since(clock)
	l := &loads{
		shares: newShares(s.Instances), nodes: make([]weighed, len(s.Instances)), byID: make(map[string]*load, len(s.Instances)),
	}
	sum, known, weights := 0.0, 0, uint64(0)
	for i := range s.Instances {
		inst := &s.Instances[i]
		weights += weightOf(inst)
		for _, before := range older {
			if node := before.value.byID[inst.ID]; node != nil {
				l.nodes[i].load, l.byID[inst.ID] = node, node
				if !node.failing.Load() && node.latency.Load() != 0 {
					sum += node.expected(now)
					known++
				}
				break
			}
		}
	}
	mean := float64(weights) / float64(len(s.Instances))
	for i := range s.Instances {
		inst := &s.Instances[i]
		l.nodes[i].ratio = mean / float64(weightOf(inst))
		if l.nodes[i].load != nil {
			continue
		}
		node := new(load)
		if known > 0 {
			node.latency.Store(uint64(newAverage(sum/float64(known), now)))
		}
		l.nodes[i].load, l.byID[inst.ID] = node, node
	}
	return l
}
