.PHONY: test race lint fmt tidy deps fuzz compare demo ci
test:  ; go test work
race:  ; go test -race work
lint:  ; .ci/each go tool -modfile="$(CURDIR)/tools/go.mod" golangci-lint run
fmt:   ; GOWORK=off go tool -modfile=tools/go.mod golangci-lint fmt
tidy:  ; .ci/each --all go mod tidy
deps:  ; .ci/deps >deps.txt
fuzz:  ; .ci/fuzz 30s
compare: ; go run ./integration/compare
demo:  ; go run ./cmd/etcdkit dev --demo
ci:    ; .ci/run
