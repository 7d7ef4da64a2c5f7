# make run    install what is missing, start CodeCoach on this machine
# make test   install what is missing, run every test
# make runtimes   build the runtime of every language
.PHONY: run setup setup-test runtimes test check format lint types audit bench lock docs
.DEFAULT_GOAL := run

run: setup
	@exec .venv/bin/codecoach up --prepared

setup:
	@./setup.sh

setup-test:
	@./setup.sh test

# Every language's runtime; what is built already costs nothing.
runtimes: setup
	.venv/bin/codecoach runtimes install all

test: setup-test
	.venv/bin/python -m pytest

# Everything that must hold before a change goes in.
check: setup-test lint types audit
	.venv/bin/python -m pytest

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lint:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types:
	.venv/bin/mypy

# Known weaknesses of the locked packages, where the package index has data on them.
audit: setup-test
	.venv/bin/python -m tests.audit

bench: setup-test
	.venv/bin/python -m benchmarks

# Parts of the documentation that are made from the code.
docs:
	.venv/bin/python -m codecoach.settings README.md
	.venv/bin/python docs/licences.py

# Exact versions of everything, with hashes and without the address of any index.
lock:
	.venv/bin/python -m pip install --quiet uv
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --extra build pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock
