package hub

// share is one thing that several callers of a session use together.
type share struct {
	value any
	refs  int
	close func()
}

// Share returns the value that is shared under key, made by open when there is none. Each Share needs one Unshare.
// open must not block: it runs under the hub's lock.
func (h *Hub) Share(key string, open func() (value any, close func())) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shared[key]
	if s == nil {
		s = new(share)
		s.value, s.close = open()
		h.shared[key] = s
	}
	s.refs++
	return s.value
}

// Unshare gives back what Share returned. The last one closes it.
func (h *Hub) Unshare(key string) {
	h.mu.Lock()
	s := h.shared[key]
	s.refs--
	last := s.refs == 0
	if last {
		delete(h.shared, key)
	}
	h.mu.Unlock()
	if last && s.close != nil {
		s.close()
	}
}
