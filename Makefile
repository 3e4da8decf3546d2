# Every target sets up what is missing first; a second run fetches and rebuilds nothing.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: demo test build setup lint bench pictures

ENV := . scripts/env;
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

# Writes the tables of docs/; ONLY names some of the benchmarks, DATA a directory with the public sets.
bench: build
	@$(ENV) python3 benches/tables.py --work "$${TMPDIR:-/tmp}/cuecard-bench" $(if $(DATA),--data $(DATA)) $(ONLY)

# Draws the pictures of docs/ anew, from the demo in a real Chromium.
pictures: build
	@scripts/setup databases
	@$(ENV) trap 'scripts/services stop' EXIT; services="$$(scripts/services start)"; eval "$$services"; \
	cargo test $(QUICK) --test service pages:: -- --ignored --nocapture

lint: setup
	@$(ENV) cargo fmt --all --check
	@$(ENV) cargo clippy $(QUICK) --all-targets -- -D warnings

setup:
	@scripts/setup
