# Every target sets up .venv by itself: a virtual environment, uv inside it, and the hashed locks: requirements.lock is what
# running needs, requirements-dev.lock what the tests need on top. Python 3.11, 3.12 or 3.13, make and git are enough.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
DEV := .venv/.dev
EXTRAS := dev postgres redis s3 onnx litert tensorboard mlflow  # what the tests use
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help nightly up test test-slow test-ui test-services test-jax chaos chaos-up year bench pictures audit check messages score pretrain lock clean

help:           ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## / — /' | sort

nightly: $(READY)  ## one night, here and now; ARGS="--source folder:…" for your own images
	@$(BIN)/tenarai nightly $(ARGS)

test: $(DEV)  ## all tests that are not slow, in three processes
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

test-slow: $(DEV)  ## the slow ones: server, workers, a night through the API
	@$(BIN)/python -m pytest -m slow $(ARGS)

test-ui: $(DEV)  ## in a browser: the report, and the Prefect UI; installs chromium with apt where it may
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing chromium" \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium \
			fonts-noto-cjk >/dev/null; } \
		|| { echo "make test-ui needs chromium: sudo apt-get install chromium fonts-noto-cjk"; exit 1; }
	@$(BIN)/python -m pytest -m ui $(ARGS)

test-services: $(DEV)  ## those on a real PostgreSQL, Redis and S3 endpoint: many machines, migrations
	@$(BIN)/python -m pytest -m services $(ARGS)

test-jax: $(DEV)  ## the same code on JAX, which is installed beside .venv's own packages for this alone
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target .venv/jax --constraint requirements.lock 'jax>=0.5'
	@PYTHONPATH=$(CURDIR)/.venv/jax $(BIN)/python -m pytest -m slow tests/test_backends.py $(ARGS)

chaos: $(DEV)  ## kill worker, flow, server, database at random, 50 times, and print what it did as a table
	@$(BIN)/python -m tests.chaos $(ARGS)

chaos-up: $(DEV)  ## kill server, workers and runs of `tenarai up` at random until each was killed 20 times
	@$(BIN)/python -m tests.chaos_up $(ARGS)

year: $(DEV)  ## 365 simulated nights with planted faults, half an hour on two cores; ARGS="--nights 90" for fewer
	@$(BIN)/python -m benchmarks.year $(ARGS)

bench: $(DEV)  ## how fast it is, against what could do the same, as a table; ARGS="--only quiet,drive" for some of it
	@$(BIN)/python -m benchmarks.speed $(ARGS)

pictures: $(DEV)  ## the pictures of the README, from the sample folder, light and dark; needs chromium and pdftoppm
	@$(BIN)/python -m docs.pictures.make $(ARGS)

audit: $(DEV)  ## known holes in what is locked, where the index can be reached
	@$(BIN)/python -m tests.audit

check: $(DEV)  ## lint, format, types, import contracts, translations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest tests/test_messages.py

BABEL := $(BIN)/python -m babel.messages.frontend --quiet
MESSAGES := tenarai/locale/ja/LC_MESSAGES/tenarai
messages: $(DEV)  ## collect what people read into tenarai.po for translation, Click's own words included, and compile it
	@$(BABEL) extract --mapping pyproject.toml --keywords plural:1,2 --no-location --sort-by-file --no-wrap \
		--project Tenarai --output .venv/tenarai.pot flows tasks tenarai $(CLICK)
	@$(BABEL) update --input-file .venv/tenarai.pot --output-file $(MESSAGES).po --locale ja \
		--ignore-obsolete --no-fuzzy-matching --no-wrap --ignore-pot-creation-date
	@$(BIN)/python -c 'from babel.messages import mofile, pofile; \
		mofile.write_mo(open("$(MESSAGES).mo", "wb"), pofile.read_po(open("$(MESSAGES).po", "rb"), locale="ja"))'
CLICK = $(shell $(BIN)/python -c 'import click, pathlib; print(pathlib.Path(click.__file__).parent)')

up: $(READY)  ## Prefect server, pools, deployments and both workers, until Ctrl-C
	@$(BIN)/tenarai up $(ARGS)

score: $(DEV)  ## make score DATA=<folder of <set>/<label>/<file>>: what the base reads, and after some own samples
	@test -n "$(DATA)" || { echo "make score needs DATA=<folder of sets>, each <set>/<label>/<file>"; exit 2; }
	@$(BIN)/python -m benchmarks.base score "$(DATA)" $(ARGS)

pretrain: $(DEV)  ## train the base model, hours on a CPU; ARGS="--mnist mnist.npz --usps usps.npz"
	@$(BIN)/python -m benchmarks.base pretrain $(ARGS)

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(READY)  ## renew both locks from pyproject.toml
	@$(LOCK) --upgrade pyproject.toml -o requirements.lock
	@$(LOCK) --upgrade pyproject.toml $(EXTRAS:%=--extra %) --constraint requirements.lock -o requirements-dev.lock \
		$$(sed -nE 's/^([a-z0-9-]+)==.*/--no-emit-package \1/p' requirements.lock)

clean:          ## remove .venv; images, models and reports in .tenarai stay
	@rm -rf .venv

# --no-deps: the locks name every package, and each is checked against its hash.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tenarai needs Python 3.11, 3.12 or 3.13; none was found on PATH."; exit 1; }
	@echo "setting up .venv with $(PYTHON) (once, a minute or so)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $(READY)

$(DEV): $(READY) requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements-dev.lock
	@touch $(DEV)
