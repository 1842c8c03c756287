# The two commands: `make book` to read, `make test` to prove. `make help` lists the rest.

# Make 3.81 passes a recipe the PATH below only if the shell is not its default one.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help book test serve lab execute lint prove bench mutants clean

# The first interpreter that the pinned versions support; `make PYTHON=... book` overrides it.
supported := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(supported)' 2>/dev/null && echo $$p && break; done)

bin := .venv/bin
installed := .venv/installed
has_pip := $(bin)/python -m pip --version >/dev/null 2>&1
export PATH := $(CURDIR)/$(bin):$(PATH)

# One thread: sums and products of matrices then come out the same, bit for bit, on every run.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
# TensorFlow says nothing at start-up and leaves the order of operations alone.
export TF_CPP_MIN_LOG_LEVEL := 3
export TF_ENABLE_ONEDNN_OPTS := 0
export PYDEVD_DISABLE_FILE_VALIDATION := 1

help:  ## list the commands
	@awk -F ':.*## *' '/^[a-z]+:.*##/ {printf "%-10s%s\n", $$1, $$2}' Makefile

$(installed): requirements.txt package-lock.json pyproject.toml
	@$(has_pip) || test -n "$(PYTHON)" || { \
		echo "Step Size needs Python 3.11, 3.12 or 3.13: install one, or name it: make PYTHON=/path/to/python3 book"; exit 1; }
	$(has_pip) || $(PYTHON) -m venv --clear .venv
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	npm ci --loglevel=error
	touch $@

book: $(installed)  ## build the HTML book and say where to open it
	$(bin)/python assets/vendor.py
	jupyter-book build --all --warningiserror --nitpick --keep-going .
	@echo; echo "Open the book: file://$(CURDIR)/_build/html/index.html"

browsers := chromium chromium-browser google-chrome google-chrome-stable chrome msedge

test: book  ## run every test: the library, the notebooks, the pages in a browser
	@type -P $(CHROME) $(browsers) | grep -q . || playwright install --only-shell chromium
	ruff check . && ruff format --check .
	pytest -n 2 --dist loadfile --nbval --nbval-sanitize-with tests/nbval_sanitize.cfg

serve: book  ## serve the book at http://localhost:8000
	$(bin)/python -m http.server --bind localhost --directory _build/html 8000

lab: $(installed)  ## open the chapters in JupyterLab
	jupyter lab --notebook-dir=. chapters

execute: $(installed)  ## run the notebooks again and store their outputs (one: make execute NOTEBOOKS=chapters/adam.ipynb)
	jupyter nbconvert --log-level=ERROR --to notebook --inplace --execute $(NOTEBOOKS)
	nbstripout --keep-output --keep-count --extra-keys "metadata.language_info cell.metadata.execution" $(NOTEBOOKS)

NOTEBOOKS ?= $(wildcard chapters/*.ipynb)

lint: $(installed)  ## check and format the code
	ruff check --fix . && ruff format .

prove: $(installed)  ## prove every rule against every framework, in full; writes results/proofs-cpu.json
	$(bin)/python -m lib.referees.prove

bench: $(installed)  ## measure the speed and memory of a step against torch, Keras and optax; writes results/speed.json
	env -u OMP_NUM_THREADS $(bin)/python -m lib.referees.speed

mutants: $(installed)  ## break rules, dialects and schedules, and count what no test notices; writes results/mutants.json
	$(bin)/python tests/mutants.py $(MODULES)

clean:  ## remove what was built (not the environment)
	rm -rf _build assets/vendor
