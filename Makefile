# What a developer runs. `make help` lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3

.PHONY: help build generate check test bench demo fuzz

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the release binary, target/release/registry-sts
	cargo build --release --locked

generate: ## Write crds/ from the types
	cargo run --quiet --locked -- crd > crds/quaystorages.yaml.new
	mv crds/quaystorages.yaml.new crds/quaystorages.yaml

check: ## Formatting, lints, documentation, generated files
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
	cargo run --quiet --locked -- crd | diff crds/quaystorages.yaml - || { echo 'crds/ is stale: run make generate'; exit 1; }

test: ## All tests, on a real API server and an AWS peer that are built on first use
	$(PYTHON) tests/controlplane/build.py >/dev/null
	$(PYTHON) tests/controlplane/venv.py >/dev/null
	$(PYTHON) tests/readers/prepare.py >/dev/null
	cargo test --locked --no-fail-fast

bench: ## Measure the edit of config.yaml, side by side with a YAML library
	cargo bench --locked --bench edit

fuzz: ## Fuzz the edit and the parsers, each for FUZZ_SECONDS (60); needs a C++ compiler
	$(PYTHON) fuzz/run.py

demo: ## Show the main job end to end; KEEP=1 leaves it running
	cargo build --locked
	$(PYTHON) demo/demo.py
