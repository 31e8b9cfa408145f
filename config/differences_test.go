package config

import (
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b any
		want string
	}{
		{"none", settings{Name: "a"}, settings{Name: "a"}, ""},
		{"fields", settings{Name: "a", Timeout: 1}, settings{Name: "b", Timeout: 2}, "Name timeout"},
		{"deep", settings{Next: &limit{Max: 1}}, settings{Next: &limit{Max: 2}}, "Next.max"},
		{"a pointer", settings{}, settings{Next: &limit{}}, "Next"},
		{
			"maps",
			settings{Limits: map[string]limit{"a": {Max: 1}, "b": {}, "c": {}}},
			settings{Limits: map[string]limit{"a": {Max: 2}, "b": {}, "d": {}}},
			"Limits.a.max Limits.c Limits.d",
		},
		{"nil and empty", settings{}, settings{Texts: map[string]string{}}, "Texts"},
		{"lists", settings{Steps: []time.Duration{1}}, settings{Steps: []time.Duration{2}}, "Steps"},
		{"any", settings{Anything: map[string]any{"a": 1.0, "b": "x"}}, settings{Anything: map[string]any{"a": 2.0, "b": "x"}}, "Anything.a"},
		{"any of two kinds", settings{Anything: 1.0}, settings{Anything: "x"}, "Anything"},
		{"opaque", settings{When: time.Unix(1, 0)}, settings{When: time.Unix(2, 0)}, "When"},
		{"opaque and behind a pointer", settings{Number: big.NewInt(1)}, settings{Number: big.NewInt(2)}, "Number"},
		{"embedded", settings{inner: inner{1}, Outer: &Outer{"a"}}, settings{inner: inner{2}}, "Embedded Level"},
		{"without a name in JSON", settings{Secret: "a"}, settings{Secret: "b"}, "(all)"},
		{"no fields", 1, 2, "(all)"},
		{"bytes", []byte("a"), []byte("b"), "(all)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			paths := differences(reflect.ValueOf(test.a), reflect.ValueOf(test.b))
			for i, path := range paths {
				if path == "" {
					paths[i] = "(all)"
				}
			}
			if got := strings.Join(paths, " "); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
