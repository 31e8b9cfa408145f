// Command etcdkit runs commands under a lock in etcd or as an elected leader, shows and breaks locks, shows and moves leaders, shows and
// changes live configuration, registers servers, shows services and is the gateway in front of them, reads and writes keys, and starts an
// etcd of its own to try these things out. It is built on the public packages of the kit alone. "etcdkit help" tells the rest.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
