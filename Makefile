# Every target does all of its own set-up: a virtual environment in the checkout, pinned by constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
STUDIO := .venv-label-studio

# The first of these that starts and is new enough; `make PYTHON=/path/to/python3.12 test` overrules it.
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)

# Tests read nothing but the checkout: no Hub, and caches of their own. They run in two processes of one thread each: two
# threads a process would fight over two cores. A file stays in one process, so that its fixtures are made once.
OFFLINE := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false XDG_CACHE_HOME=$(CURDIR)/.pytest_cache/xdg

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-long test-models fuzz torture browser label-studio check docs format bench clean dist wheel-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv and install the project into it (minutes, once)

demo: $(READY) ## run active learning on real film reviews and write runs/demo/report.html
	$(BIN)/dal-nlp run --task sentiment --out runs/demo

# Modules with public names, whose docstrings have examples that run.
EXAMPLES := annotation/answers annotation/oracle core/errors core/task models/pool session/config session/loop session/result strategies/base workflows/async_session workflows/select

test: $(READY) ## run the tests but the long ones, and the examples of the public names (minutes); no network, no GPU
	$(OFFLINE) $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not long'
	$(OFFLINE) $(BIN)/python -m pytest -q --doctest-modules $(EXAMPLES:%=dal_nlp/%.py)

test-long: $(READY) ## run the tests that `make test` leaves out: killed runs, several processes, many people (ten minutes)
	$(OFFLINE) $(BIN)/python -m pytest -n 2 --dist loadfile -m long

test-models: $(READY) ## run tiny models of every family through every task and way to train (many minutes)
	$(OFFLINE) $(BIN)/python -m pytest -n 2 tests/models/every_family.py

# What trains whole runs or starts processes is left to `make test`.
SLOW := annotation cli compare learners page session workflows inquiries benchmarks test_examples.py test_old_runs.py test_fuzz.py strategies/test_contract.py strategies/test_pseudo_labels.py models/test_families.py test_multi_label.py signals/test_runs.py signals/test_what_is_said.py signals/test_self_distillation.py

test-fast: $(READY) ## run what takes seconds: the loop while writing
	$(OFFLINE) $(BIN)/python -m pytest -q -m 'not long' --hypothesis-profile=fast $(SLOW:%=--ignore=tests/%)

fuzz: $(READY) ## put 100,000 odd inputs to everything that reads one
	$(OFFLINE) DAL_NLP_FUZZ=100000 $(BIN)/python -m pytest tests/test_fuzz.py

torture: $(READY) ## kill commands 100 times at random moments and compare with undisturbed ones (ten minutes)
	$(OFFLINE) $(BIN)/python -m tests.torture --kills 100 --seconds 600

browser: $(READY) ## have `make test` run the page in a browser too (chromium by apt-get, as root, where there is none)
	$(BIN)/python -m pip install -c constraints.txt -e '.[browser]'
	command -v chromium || command -v chromium-browser || command -v google-chrome || { apt-get update && apt-get install -y chromium; }

label-studio: $(STUDIO)/.installed ## have `make test` run against a real Label Studio too (minutes, once)

check: $(READY) ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY) ## build the site into site/; a warning is an error
	$(BIN)/python -m pip install -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The wheel is built from the source distribution, which so proves to be whole.
dist: $(READY) ## build the source distribution and the wheel into dist/
	rm -rf build dist && $(BIN)/python -m build --outdir dist .

# Outside of the checkout, in an environment that holds the wheel and what it asks for alone; it goes again at the end.
wheel-check: dist ## install the wheel into an empty environment and try it there (2 GB, minutes, network)
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(PYTHON) -m venv "$$place/env" && \
		"$$place/env/bin/python" -m pip install -c constraints.txt "$$(echo dist/*.whl)[page]" && \
		$(BIN)/python tests/wheel_check.py "$$place/env/bin" "$$place/work"

format: $(READY) ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## print the tables of speed and memory
	@for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean: ## remove the environment and all caches, but no runs
	rm -rf $(VENV) $(STUDIO) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov build dist site *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last, so an interrupted installation is taken up again.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "dal-nlp needs Python 3.11 or newer: install it, or name one with make PYTHON=/path/to/python."; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	mkdir -p $(VENV)/typed && ln -sfn ../../cli $(VENV)/typed/dal_nlp_cli
	touch $@

# The server has an environment of its own, as its pins conflict with ours; what asks it goes into ours.
$(STUDIO)/.installed: tests/label-studio-constraints.txt $(READY)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,label-studio]'
	test -x $(STUDIO)/bin/pip || $(PYTHON) -m venv $(STUDIO)
	$(STUDIO)/bin/python -m pip install -c tests/label-studio-constraints.txt label-studio
	touch $@
