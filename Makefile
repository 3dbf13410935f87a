# One command per task. Each target installs what it needs first; a second run starts in seconds.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
export PATH := $(CURDIR)/.venv/bin:$(HOME)/.cargo/bin:$(PATH):/usr/sbin

.PHONY: help install demo test lint types contract unit rust peers docs bench fuzz generate audit lock clean

help: ## What there is
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: ## System packages, toolchain, .venv and the engine; nothing else
	@scripts/install run

demo: install ## Call an IVR with a phone, hear it, record it (under 60 s)
	@python examples/demo.py

test: ## Everything that must hold: lint, types, import contract, tests
	@scripts/step "install" scripts/install test
	@$(MAKE) lint types contract rust unit peers
	@echo "all checks passed"

lint: ## ruff, rustfmt, clippy
	@scripts/step "ruff" ruff check .
	@scripts/step "ruff format" ruff format --check .
	@scripts/step "rustfmt" cargo fmt --all --check
	@scripts/step "clippy" cargo clippy -q --locked --workspace --all-targets -- -D warnings

types: ## mypy, strict; mypy and pyright, of programs that use the SDK
	@scripts/step "mypy" mypy
	@scripts/step "mypy and pyright, of programs that use the SDK" python scripts/check_types.py
	@scripts/step "mypy, of what makes the site" env MYPYPATH=src mypy --strict -p docs.site
	@scripts/step "mypy, of the tests' rig" mypy tests/rig

contract: ## Who may import whom (DESIGN.md, Layout)
	@scripts/step "import contract" lint-imports

rust: ## Tests of the crates
	@scripts/step "cargo test" scripts/cargo-test

unit: ## Unit and property tests of the Python side
	@scripts/step "unit and property tests" python -m pytest -q -n auto tests/unit tests/property

peers: ## Real sockets, real audio, peers that nobody here wrote
	@scripts/step "peers and end to end" scripts/peers

docs: ## The site, into out/site; fails on a warning, a broken link, anything fetched from elsewhere
	@scripts/docs

bench: ## Figures of this machine, as tables and under out/ as JSON
	@scripts/install test
	@python -m benchmarks

fuzz: ## Every fuzz target for a minute
	@scripts/fuzz

generate: ## What follows from the verbs of the SDK: Call, types of on and wait_for, the front door, tables of the reference
	@python scripts/generate.py

audit: ## What takes longer than `make test` may
	@scripts/audit

lock: ## Make the locks anew (needs uv)
	@scripts/lock

clean: ## What was built, but not what was installed
	@rm -rf target out .cache/stamps/engine
