# What a developer runs. `make help` lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3

TOOLS = kubectl kustomize helm opm operator-verify promtool argocd-health kstatus

CRDS = quaystorages storageidentities identitypolicies

.PHONY: help build image generate check test bench demo fuzz audit

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the release binary, target/release/registry-sts
	cargo build --release --locked

image: ## Build the container image and its SBOM, below target/image; ARCH="amd64 arm64" for both
	$(PYTHON) deploy/image/build.py $(ARCH:%=--arch %)

generate: ## Write what is made from something else: crds/, the chart's copies, the OLM bundle, docs/api.md
	for crd in $(CRDS); do cargo run --quiet --locked -- crd $$crd > crds/$$crd.yaml.new && mv crds/$$crd.yaml.new crds/$$crd.yaml || exit 1; done
	$(PYTHON) deploy/helm/generate.py
	$(PYTHON) deploy/olm/generate.py
	$(PYTHON) docs/generate.py

check: ## Formatting, lints, documentation, generated files
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
	for crd in $(CRDS); do cargo run --quiet --locked -- crd $$crd | diff crds/$$crd.yaml - || { echo 'crds/ is stale: run make generate'; exit 1; }; done
	$(PYTHON) deploy/helm/generate.py --check
	$(PYTHON) deploy/olm/generate.py --check
	$(PYTHON) docs/generate.py --check

test: ## All tests, on a real API server and an AWS peer that are built on first use
	$(PYTHON) tests/controlplane/build.py >/dev/null
	$(PYTHON) tests/controlplane/venv.py >/dev/null
	$(PYTHON) tests/readers/prepare.py >/dev/null
	$(PYTHON) tests/tools/build.py $(TOOLS) >/dev/null
	$(PYTHON) deploy/image/build.py --allow-glibc >/dev/null
	@if command -v radosgw >/dev/null; then \
	  cargo test --locked --no-fail-fast; \
	else \
	  cargo test --locked --no-fail-fast -- --skip radosgw:: && \
	  echo 'Skipped, because radosgw is not installed:' && \
	  cargo test --locked --quiet --test e2e -- --list radosgw:: | sed -n 's/: test$$//p' && \
	  echo 'To run them too: apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common'; \
	fi

# `cargo bench` builds a binary of its own into target/release, with what the tests need of its libraries.
bench: ## Measure the edit of config.yaml and the operator, into docs/performance.md; BENCH=quick sees only that it works
	$(PYTHON) tests/controlplane/build.py >/dev/null
	$(PYTHON) tests/controlplane/venv.py >/dev/null
	cargo build --release --locked
	cp target/release/registry-sts target/registry-sts-measured
	cargo bench --locked --bench edit
	REGISTRY_STS_BINARY=$(CURDIR)/target/registry-sts-measured BENCH=$(BENCH) cargo bench --locked --bench operator

fuzz: ## Fuzz the edit and the parsers, each for FUZZ_SECONDS (60); needs a C++ compiler
	$(PYTHON) fuzz/run.py

audit: ## Ask cargo-deny for advisories, licences, banned crates and sources
	$$($(PYTHON) tests/tools/cargo.py cargo-deny) --locked check

demo: ## Show the main job end to end; KEEP=1 leaves it running
	cargo build --locked
	$(PYTHON) demo/demo.py
