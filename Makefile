# Pochoir: everything a person types. `make help` lists it.
# Needs Python 3.11 or newer, make, and a package registry that pip can reach; nothing else.

PYTHON   ?= $(shell command -v python3.11 || command -v python3)
VENV     ?= .venv
PIP_ARGS ?=
JOBS     ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)
FILM     ?=
PROJECT  ?=
NAME     ?= latency
DATA     ?=
REFERENCE ?=
TESTS    ?=
RUN      ?=
TRAIN_ARGS ?= --replicas 2 --threads 1

PY  := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet $(PIP_ARGS)
SRC := app.py core hints studio bench tests

.DEFAULT_GOAL := help
.PHONY: help demo test check studio bench fmt clean setup weights

help: ## what there is to type
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## / — /' | sort

demo: $(VENV)/.stamp-run ## make a damaged reel, restore and colour it, correct it by hints; FILM=path does it on your film
	$(PY) -m bench.demo $(if $(FILM),--film "$(FILM)")

test: $(VENV)/.stamp-dev ## all tests, Chromium's among them; TESTS=path for some
	$(PY) -m pytest -q -n $(JOBS) --dist loadfile $(TESTS)

check: $(VENV)/.stamp-dev ## form, lint, types and the rules of the house; changes nothing
	$(PY) -m ruff format --check $(SRC)
	$(PY) -m ruff check $(SRC)
	$(PY) -m mypy
	$(PY) -m pytest -q tests/test_architecture.py

fmt: $(VENV)/.stamp-dev ## bring the code into form
	$(PY) -m ruff format $(SRC)
	$(PY) -m ruff check --fix $(SRC)

studio: $(VENV)/.stamp-run ## open the studio in the browser; PROJECT=folder
	$(PY) app.py studio $(if $(PROJECT),"$(PROJECT)")

bench: $(VENV)/.stamp-dev ## one measurement; NAME=points|exemplar|sparse|regions|neighbours|segment|across|references|need|flow|interpolate|repair|speed|latency|carry|beside DATA=folder REFERENCE=folder
	$(PY) app.py bench $(NAME) $(if $(DATA),--data "$(DATA)") $(if $(REFERENCE),--reference "$(REFERENCE)")

weights: $(VENV)/.stamp-run ## train the embedded colouriser anew, hours on a CPU; DATA=folder RUN=folder, goes on where it was
	@[ -n "$(DATA)" ] && [ -n "$(RUN)" ] || { echo "make weights: say DATA=folder with SOURCES.csv and stills/, and RUN=folder for the run" >&2; exit 2; }
	$(PY) -m bench.train.train --data "$(DATA)" --run "$(RUN)/first" --config bench/train/embedded_first.toml $(TRAIN_ARGS)
	$(PY) -m bench.train.train --data "$(DATA)" --run "$(RUN)" --begin "$(RUN)/first/checkpoint.pt" $(TRAIN_ARGS)
	$(PY) -m bench.train.meant --data "$(DATA)" --run "$(RUN)"
	$(PY) -m bench.train.export --data "$(DATA)" --run "$(RUN)"
	$(PY) app.py bench points --data "$(DATA)" --json > "$(RUN)/points.json"
	$(PY) -m bench.train.export --data "$(DATA)" --run "$(RUN)" --points "$(RUN)/points.json"

setup: $(VENV)/.stamp-dev ## only install what tests and checks need

clean: ## remove what can be made again (not the environment, not your projects)
	rm -rf demo out .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A stamp is newer than what it was made from, so the second time costs nothing.
$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "make: no python3 found; install Python 3.11 or say PYTHON=/path/to/python" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is older than Python 3.11; say PYTHON=/path/to/python3.11" >&2; exit 2; }
	"$(PYTHON)" -m venv "$(VENV)" \
	  || { rm -rf "$(VENV)"; echo "make: could not make $(VENV); on Debian and Ubuntu install python3-venv" >&2; exit 2; }

# torch by itself first: it is by far the largest, and what follows must not choose another one.
$(VENV)/.stamp-run: requirements.txt | $(VENV)/bin/python
	@echo "installing what is in requirements.txt into $(VENV) (once; torch is large)"
	$(PIP) $$(grep '^torch==' requirements.txt)
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.stamp-dev: requirements-dev.txt $(VENV)/.stamp-run
	$(PIP) -r requirements-dev.txt
	@touch $@
