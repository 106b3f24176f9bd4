# make            the release binary (static)
# make demo       from nothing to nginx in a container
# make test       all tests
# make bench      rcon beside podman, docker and the bare runtimes
# make install    PREFIX (default /usr/local), DESTDIR
PREFIX ?= /usr/local
DESTDIR ?=
ARCH := $(shell uname -m)
BINARY := target/$(ARCH)-unknown-linux-musl/release/rcon

.PHONY: all demo test bench install uninstall clean generate

all:
	scripts/setup.sh build
	scripts/build.sh

demo:
	scripts/demo.sh

test:
	scripts/test.sh

bench:
	benches/run.sh

generate: ## man pages, completions and the command reference, from the definitions of the flags
	cargo run -q -- __generate .

install:
	@test -x $(BINARY) || { echo "make install: run 'make' first" >&2; exit 1; }
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/rcon
	ln -sf rcon $(DESTDIR)$(PREFIX)/bin/rcon-runtime
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -D -m 644 completions/rcon.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rcon
	install -D -m 644 completions/_rcon $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_rcon
	install -D -m 644 completions/rcon.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rcon.fish

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/rcon $(DESTDIR)$(PREFIX)/bin/rcon-runtime
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/rcon.1 $(DESTDIR)$(PREFIX)/share/man/man1/rcon-*.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rcon
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_rcon
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rcon.fish

clean:
	cargo clean
