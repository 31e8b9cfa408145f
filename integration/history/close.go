package history

import "time"

// expiry is what etcd takes beyond a TTL to take a lease away, which is a second and a half, and what a slow machine takes to see it.
const expiry = 2500 * time.Millisecond

// clean (X2): when all are closed, nothing is left of them: no goroutine, no key in a line, and no lease when the TTL is over.
func clean(h *History) (tried int, found []Violation) {
	var last int64
	ends := make(map[string]int64)
	for _, e := range h.Ends {
		tried++
		ends[e.Client], last = e.At, max(last, e.At)
		if e.Left > 0 {
			found = append(found, wrong("%s closed (%q), and %d goroutines of it are left:\n%s", e.Client, e.Close, e.Left, e.Stacks))
		}
	}
	if len(h.Ends) == 0 {
		return 0, nil // they still work
	}
	for _, l := range h.Leases {
		tried++
		at := ends[l.Client]
		if at == 0 {
			at = last
		}
		if l.Gone == 0 || l.Seen > h.due(at, h.TTL+expiry) {
			found = append(found, wrong("lease %x of %s was there more than %v after its end", l.ID, l.Client, h.TTL+expiry))
		}
	}
	for _, k := range h.Keys {
		if k.Deleted == 0 || k.Deleted > h.due(last, h.TTL+expiry) {
			found = append(found, wrong("%s: the key of revision %d is left", k.Name, k.Token))
		}
	}
	return tried, found
}
