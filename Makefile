PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
BIN := .venv/bin
READY := .venv/.installed

# Each job of a run is a process, which would compile the library again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help reproduce sensitivity zoo test check commands shipped lint docs faults soak test-slurm bench clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

reproduce: $(READY) ## environment, install, the default run, where to look
	$(BIN)/snakemake --cores $(CORES)

READINGS := results/sensitivity/readings
sensitivity: $(READY) ## the paper's claims under every reading of it: configurations, runs, table, figure
	commands=$$($(BIN)/epsball readings config/sensitivity.yaml $(READINGS) --cores $(CORES)) && PATH="$(CURDIR)/$(BIN):$$PATH" sh -exc "$$commands"
	$(BIN)/epsball sensitivity $(READINGS)

zoo: $(READY) ## sixty-three networks on rendered signs, and what goes with adversarial distance: hours on two cores
	$(BIN)/snakemake --cores $(CORES) --configfile config/zoo.yaml

# One more than cores: for a quarter of the time one waits for SLURM.
WORKERS = $(shell expr $(CORES) + 1)
test: $(READY) lint ## environment, install, everything checked
	PYTHONPATH=tests $(BIN)/python -m support.browser
	PYTHONPATH=tests $(BIN)/python -m support.slurm $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(READY) lint ## what can be checked in under two minutes, for use while working
	$(BIN)/pytest -n $(CORES) -m "not slow"

commands: $(READY) ## every command of the README, with configurations reduced: 20 minutes on two cores
	$(BIN)/pytest tests/project/test_readme.py -m "long or not long"

shipped: $(READY) ## every configuration as it ships, those that need your data if it is in data/: an hour and more on two cores
	$(BIN)/pytest tests/project/test_shipped.py -m long

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/snakemake --lint

docs: $(READY) ## these pages, into docs/_build/html, without the network: about a minute
	$(BIN)/sphinx-build -W --keep-going -n -q -j auto -b html docs docs/_build/html

faults: $(READY) ## every attack of the tests, and the table of docs/reference/faults.md: ten minutes on two cores
	PYTHONPATH=tests $(BIN)/python -m support.slurm $(BIN)/pytest -m "fault and not long" -p support.faults -n $(CORES) --dist loadfile

N ?= 20
soak: $(READY) ## kill N=20 runs of a small study at random moments, local and in SLURM, go on, and compare
	PYTHONPATH=tests $(BIN)/python -m support.soak $(N)
	PYTHONPATH=tests $(BIN)/python -m support.slurm $(BIN)/python -m support.soak $(N) --slurm

test-slurm: $(READY) ## its part on a SLURM, which is started for it (root, Debian), or why not
	PYTHONPATH=tests $(BIN)/python -m support.slurm $(BIN)/pytest tests/workflow/test_slurm.py

bench: $(READY) ## rate of the extract stage against bare passes and a plain script, cost against size: 15 minutes on two cores
	$(BIN)/python benchmarks/extract.py
	$(BIN)/python benchmarks/scaling.py stages

clean: ## remove environment, caches and results
	rm -rf .venv .snakemake .mypy_cache .ruff_cache .pytest_cache .import_linter_cache docs/_build docs/_gallery docs/_generated results/*/

$(READY): envs/requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "epsball needs Python 3.11 or newer, found " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@
