package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"etcdkit/integration/process"
)

// nginxConf has nginx do what a gateway does here: keep connections to the backends, take them in turn, write no log.
const nginxConf = `
daemon off;
worker_processes auto;
pid nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	upstream backends { %s keepalive 512; keepalive_requests 1000000000; }
	server {
		listen %s;
		location / { proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
`

// startNginx returns the address at which an nginx passes requests on.
func startNginx(b *bench, path string, backends []string) string {
	dir, err := os.MkdirTemp("", "compare-nginx-")
	check(err)
	b.later(func() { _ = os.RemoveAll(dir) })
	l := listen("-")
	addr := l.Addr().String()
	check(l.Close())
	var servers []string
	for _, backend := range backends {
		servers = append(servers, "server "+backend+";")
	}
	conf := filepath.Join(dir, "nginx.conf")
	check(os.WriteFile(conf, fmt.Appendf(nil, nginxConf, strings.Join(servers, " "), addr), 0o600))
	cmd := exec.Command(path, "-p", dir, "-c", conf)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = process.Apart()
	check(cmd.Start())
	b.later(func() {
		_ = cmd.Process.Signal(os.Interrupt) // its workers end with it then
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(deadline) {
			check(fmt.Errorf("nginx does not serve: %w", err))
		}
	}
}
