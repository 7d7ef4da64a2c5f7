# make run    install what is missing, start CodeCoach on this machine
# make test   install what is missing, run every test
# make runtimes   build the runtime of every language
# make deploy REGION=us-east-1 [STACK=codecoach] [SET="InstanceType=t3.xlarge ..."]     in your AWS account (docs/deployment.md)
# make destroy REGION=us-east-1 [STACK=codecoach] [DATA=delete]
.PHONY: run setup setup-python setup-test runtimes test check format lint types audit bench lock docs deploy destroy
.DEFAULT_GOAL := run

run: setup
	@exec .venv/bin/codecoach up --prepared

setup:
	@./setup.sh

setup-python:
	@./setup.sh python

setup-test:
	@./setup.sh test

# Every language's runtime; what is built already costs nothing.
runtimes: setup
	.venv/bin/codecoach runtimes install all

# What waits more than it computes, several at a time; what drives whole apps and browsers, one after the other.
AT_ONCE := tests/unit tests/pages tests/contracts tests/piston

test: setup-test
	@.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(AT_ONCE); failed=$$?; \
	.venv/bin/python -m pytest tests $(addprefix --ignore=,$(AT_ONCE)) && exit $$failed

STACK ?= codecoach
# One that is not said is the one of the AWS CLI's configuration, if that has one.
REGION ?= $(or $(AWS_REGION),$(AWS_DEFAULT_REGION))

deploy: setup-python
	@.venv/bin/python -m deploy up --region "$(REGION)" --stack "$(STACK)" $(foreach value,$(SET),--set '$(value)')

destroy: setup-python
	@.venv/bin/python -m deploy down --region "$(REGION)" --stack "$(STACK)" $(if $(filter delete,$(DATA)),--delete-data)

# Everything that must hold before a change goes in.
check: setup-test lint types audit test

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
