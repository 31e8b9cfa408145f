// Package etcdkit is the map of the house; import the packages below it.
package etcdkit
