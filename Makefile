# `make help` lists the targets. Each does its own set-up; nothing outside this folder is changed, except that on a
# machine where we are root `make peers` installs the Debian programs that the tests use as peers.
.DEFAULT_GOAL := help
# The first that runs: a version manager leaves commands on the path that only say which version is not chosen.
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c pass 2>/dev/null && { command -v $$python; break; }; done)
BIN := .venv/bin
UV_VERSION := 0.13.8
export VIRTUAL_ENV := $(CURDIR)/.venv

# Three workers on two cores, because most tests wait for a phone; a file at a time, because what needs a running
# service starts one for its file.
PARALLEL ?= -n 3 --dist loadfile

.PHONY: help setup check check-static test demo bench lock peers clean

help:  ## these lines
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/bin/python:
	@deploy/make-venv "$(PYTHON)" "$(UV_VERSION)"

.venv/.runtime: .venv/bin/python requirements.lock pyproject.toml
	@deploy/install requirements.lock
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@deploy/install requirements-dev.lock
	@touch $@

setup: .venv/.dev  ## make .venv and install everything, locked

peers:  ## install the Debian programs the tests talk to (root only; else says what is missing)
	@deploy/peers

check-static: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: check-static  ## formatter, linter, strict types, import contracts, fast tests
	$(BIN)/pytest $(PARALLEL) tests/unit tests/contract tests/store

test: .venv/.dev peers  ## every test, offline
	$(BIN)/pytest $(PARALLEL) $(TESTS)

demo: .venv/.runtime  ## ring a phone, hear it, verify the webhook: all on this machine
	$(BIN)/tocsin demo $(DEMO)

bench: .venv/.dev  ## measure; results in benchmarks/results
	$(BIN)/python -m benchmarks

lock: .venv/.dev  ## resolve the dependencies anew and write both lock files
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

clean:  ## remove what these targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
