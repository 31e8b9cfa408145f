package config

import (
	"fmt"
	"slices"
)

// versions are what the history has.
type versions struct {
	list   []Version // those that can be read, the oldest first
	newest int64     // the number of the newest, whether it can be read or not
}

// past is what a version left. Each path that the history knows is in one of the two.
type past struct {
	values  map[string][]byte // nil for what was absent
	unknown map[string]bool
	missing int64 // a version after it that the history does not have, although it has later ones; zero if there is none
}

// stood returns what a version left; zero is what stands there now.
func (all versions) stood(now standing, number int64) (past, error) {
	p := past{values: map[string][]byte{}, unknown: map[string]bool{}}
	if number == 0 {
		for _, v := range all.list {
			for _, e := range v.Edits {
				p.values[e.Path] = now.values[e.Path]
			}
		}
		return p, nil
	}
	i := slices.IndexFunc(all.list, func(v Version) bool { return v.Number == number })
	if i < 0 {
		return p, all.none(number)
	}
	p.left(all.list[:i+1])
	later := p.found(all.list[i:])
	if last := all.list[len(all.list)-1].Number; last < all.newest {
		p.missing = all.newest
	}
	for path := range p.unknown {
		// What no version has written since is as it was, unless somebody wrote past the store: then it would be newer.
		if !later[path] && now.revisions[path] <= all.list[i].Revision && p.missing == 0 {
			p.know(path, now.values[path])
		}
	}
	return p, nil
}

// left notes what versions up to the one in question wrote.
func (p *past) left(list []Version) {
	for j, v := range list {
		if j > 0 && v.Number != list[j-1].Number+1 { // what is missing may have written any of them
			for path := range p.values {
				p.unknown[path] = true
			}
			clear(p.values)
		}
		for _, e := range v.Edits {
			p.know(e.Path, e.After)
		}
	}
}

// found notes, of paths that are not known yet, what the first write after the first version of the list found. It returns which paths were
// written after it.
func (p *past) found(list []Version) (later map[string]bool) {
	later = map[string]bool{}
	for j, v := range list[1:] {
		if v.Number != list[j].Number+1 {
			p.missing = v.Number - 1
		}
		for _, e := range v.Edits {
			_, known := p.values[e.Path]
			switch {
			case known || later[e.Path]:
			case e.Unknown || p.missing != 0: // what it found can be the work of what is missing
				p.unknown[e.Path] = true
			default:
				p.know(e.Path, e.Before)
			}
			later[e.Path] = true
		}
	}
	return later
}

func (p *past) know(path string, value []byte) {
	p.values[path] = value
	delete(p.unknown, path)
}

// none says that there is no such version.
func (all versions) none(number int64) error {
	if len(all.list) == 0 {
		return fmt.Errorf("there is no version %d: the history is empty", number)
	}
	first, last := all.list[0].Number, all.list[len(all.list)-1].Number
	if first < number && number < last {
		return fmt.Errorf("version %d is missing in the history, which has %d to %d", number, first, last)
	}
	return fmt.Errorf("there is no version %d: the history has %d to %d", number, first, last)
}
