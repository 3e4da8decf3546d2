# Every target sets up what is missing first; a second run fetches and rebuilds nothing.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: demo test build setup lint bench chaos chaos-short fuzz pictures package package-test \
  deploy-test image container-test docs man drills pages-test

ENV := . scripts/env;
VERSION = $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
QUICK := --release --workspace --config scripts/quick.toml

demo: setup
	@$(ENV) cargo build --release --workspace --bins
	@$(ENV) "$$CARGO_TARGET_DIR/release/cuecard" demo

# Against real databases, which are stopped however it ends; CUECARD_SKIP_SERVICES=1 leaves out the tests that need them.
# Most tests wait for sockets and clocks, so two of them share a core.
test:
	@scripts/setup $$([ "$${CUECARD_SKIP_SERVICES:-}" = 1 ] || echo databases)
	@$(ENV) cargo test $(QUICK) --no-run
	@$(ENV) if [ "$${CUECARD_SKIP_SERVICES:-}" != 1 ]; then \
	  trap 'scripts/services stop' EXIT; services="$$(scripts/services start)"; eval "$$services"; \
	fi; \
	RUST_TEST_THREADS="$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))}" cargo test $(QUICK) --no-fail-fast

build: setup
	@$(ENV) cargo build --release --workspace --bins
	@$(ENV) mkdir -p bin && cp "$$CARGO_TARGET_DIR/release/cuecard" "$$CARGO_TARGET_DIR/release/cxone-sim" bin/
	@ls -l bin/cuecard bin/cxone-sim

# Nights full of trouble over a program with failure points, which is kept as bin/cuecard-chaos; the report goes to REPORT.
# For example `make chaos ARGS="--seed 7 --seconds 3600 --troubles kill,hub"`; --help lists them.
chaos:
	@scripts/setup chaos
	@$(ENV) cargo test --release --workspace --features cuecard/failure-points --test chaos --no-run
	@$(ENV) mkdir -p bin && cp "$$CARGO_TARGET_DIR/release/cuecard" bin/cuecard-chaos
	@$(ENV) cargo test --release --workspace --features cuecard/failure-points --test chaos -- \
	  --report "$(or $(REPORT),$${TMPDIR:-/tmp}/cuecard-chaos.md)" $(ARGS)

# For .ci/run: parts of the program that fail for good, a short night on each kind of ledger, and one of kills alone, in which
# no card may come again. Nights and waits are a minute together at most, starts and the compiler aside.
chaos-short:
	@scripts/setup chaos
	@$(ENV) cargo test $(QUICK) --features cuecard/failure-points --test failure_points
	@$(ENV) cargo test $(QUICK) --features cuecard/failure-points --test chaos -- --seconds 20
	@$(ENV) cargo test $(QUICK) --features cuecard/failure-points --test chaos -- --troubles kill --seconds 8
	@$(ENV) [ "$${CUECARD_SKIP_SERVICES:-}" = 1 ] || \
	  cargo test $(QUICK) --features cuecard/failure-points --test chaos -- --postgres --seconds 10

# dist/cuecard-VERSION-linux-x86_64.tar.zst: the programs with all that they need on another host.
package: build
	@scripts/setup package
	@scripts/package

# As another user, to whom the build does not exist.
package-test: package
	@$(ENV) python3 tests/deploy/package_test.py

# What deploy/ says, without an engine, a cluster or a package.
deploy-test:
	@scripts/setup deploy
	@$(ENV) "$$DEPLOY_CHECKS/bin/python" tests/deploy/manifests_test.py

image: package
	docker build --file deploy/Dockerfile --build-arg PACKAGE=cuecard-$(VERSION)-linux-x86_64.tar.zst --tag cuecard:$(VERSION) dist

# With an engine of its own, which it starts and stops; as root.
container-test: package
	@scripts/setup deploy engine
	@$(ENV) "$$DEPLOY_CHECKS/bin/python" tests/deploy/container_test.py

# Writes the tables of docs/; ONLY names some of the benchmarks, DATA a directory with the public sets.
bench: build
	@$(ENV) python3 benches/tables.py --work "$${TMPDIR:-/tmp}/cuecard-bench" $(if $(DATA),--data $(DATA)) $(ONLY)

# 60 seconds of each target, or SECONDS, or RUNS of it; ONLY names some of them.
fuzz: setup
	@scripts/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RUNS),--runs $(RUNS)) $(ONLY)

# The pages in a real Chromium.
pages-test:
	@scripts/setup databases
	@$(ENV) trap 'scripts/services stop' EXIT; services="$$(scripts/services start)"; eval "$$services"; \
	cargo test $(QUICK) --test service -- --ignored --skip draw_the_pictures

# Every alert under its fault, and every panel, with a real Prometheus, and a program of which parts can be made to fail.
drills:
	@scripts/setup databases
	@$(ENV) cargo test $(QUICK) --features cuecard/failure-points --test observability -- --ignored

# Draws the dashboards of docs/ from the test's own traffic and faults, with programs as fast as those that are shipped; and the
# pages from the demo, in a real Chromium.
pictures:
	@scripts/setup databases
	@$(ENV) CUECARD_DRAW_DASHBOARDS=docs/dashboards \
	  cargo test --release --workspace --features cuecard/failure-points --test observability -- --ignored
	@$(ENV) trap 'scripts/services stop' EXIT; services="$$(scripts/services start)"; eval "$$services"; \
	cargo test $(QUICK) --test service draw_the_pictures -- --ignored

# Writes what is made of other files: docs/configuration.md of config/default.toml, the drawing in docs/architecture.md of the
# list of stages, and the rules for Kubernetes of grafana/rules.
docs: setup
	@scripts/prometheus_rule
	@$(ENV) CUECARD_WRITE_DOCS=1 cargo test $(QUICK) --lib the_reference_is_made_of_the_defaults
	@$(ENV) CUECARD_WRITE_DOCS=1 cargo test $(QUICK) --test house the_drawing_of_the_flow_is_made_of_the_stages

# Manual pages, into bin/man.
man: build
	@bin/cuecard man bin/man

lint: setup
	@$(ENV) cargo fmt --all --check
	@$(ENV) cargo clippy $(QUICK) --all-targets -- -D warnings

setup:
	@scripts/setup
