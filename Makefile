# One verb, one line. `make` alone prints this list.
PYTHON ?= python3
BUDGET ?= quick
PORT ?= 8888
TRITON ?= 3.9.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup reproduce lab app test triton faults fuzz load coverage mutants robustness check format bench readme measure site pages pictures lock audit clean

help: ## this list
	@printf 'IndRNN Workbench. Needs Python 3.11 or newer and nothing else.\n\n'
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nSettings: BUDGET=smoke|quick|paper  TORCH=cpu|cuda  PYTHON=python3.12  PORT=8888  WORKBENCH_DATA=folder\n'

setup: $(READY) ## make the environment in .venv/ (done by the others when missing)

$(READY): pyproject.toml constraints.txt requirements.lock scripts/setup.py
	@$(PYTHON) scripts/setup.py --venv $(VENV) --torch '$(TORCH)'
	@touch $(READY)

reproduce: $(READY) ## the default study: train, execute the notebooks, print ours beside the paper's
	@$(BIN)/python -m workbench reproduce --budget $(BUDGET)

lab: $(READY) ## JupyterLab on the notebooks, opening the tour
	@$(BIN)/python -m workbench lab --port $(PORT)

app: $(READY) ## the explorers as an app without code (Voila), with a token, on this machine only
	@$(BIN)/python -m workbench.notebook.app --port=$(PORT) --token

test: $(READY) ## all tests, every notebook at the smoke budget among them
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 20

triton: $(READY) ## the GPU kernels without a GPU: interpreted, and compiled for one (installs Triton, 1 GB; Linux)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[triton]" "triton==$(TRITON)"
	@$(BIN)/python -m pytest -q tests/recurrence/test_engine_triton.py

faults: $(READY) ## every fault as often as it takes to believe it (an hour); writes results/faults.csv
	@FAULTS=full $(BIN)/python -m pytest tests/faults

fuzz: $(READY) ## ten minutes of coverage-guided fuzzing for each reader (Linux); writes results/fuzz.csv
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[fuzz]"
	@$(BIN)/python scripts/fuzzing.py --seconds 600 --keep

load: $(READY) ## what many runs and long sequences cost; writes results/load.csv
	@$(BIN)/python scripts/load.py

coverage: $(READY) ## lines and branches of workbench/ that the tests reach, children included, and what is left out; 95 % are asked for
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
	@$(BIN)/coverage combine --quiet
	@$(BIN)/python scripts/excluded.py
	@$(BIN)/coverage report

mutants: $(READY) ## small faults put into the code, which some test should notice; goes on where it stopped
	@$(BIN)/python -m pip install --quiet -c constraints.txt "cosmic-ray>=8.4,<9"
	@$(BIN)/python scripts/mutants.py

robustness: $(READY) ## what was tried to break it, and what held; writes results/robustness.csv and .md
	@$(BIN)/python scripts/robustness.py

check: $(READY) ## format, lint, types, stripped notebooks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/nbstripout --verify --extra-keys "metadata.widgets metadata.papermill cell.metadata.papermill" notebooks/*.ipynb

format: $(READY) ## put code and notebooks in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/nbstripout --extra-keys "metadata.widgets metadata.papermill cell.metadata.papermill" notebooks/*.ipynb

bench: $(READY) ## time our layers beside torch.nn's, in one run; writes results/bench/cpu.json (20 minutes)
	@$(BIN)/python -m workbench bench --all --out results/bench/cpu.json

readme: $(READY) ## write what holds into README.md, all results and the ledger of core-hours into results/, from the published records
	@$(BIN)/python scripts/readme.py
	@$(BIN)/python scripts/ledger.py

measure: $(READY) ## the time from a key to the explorers' pictures, in a browser; writes results/explorers.csv
	@MEASURE=results/explorers.csv PICTURES_BUDGET=quick $(BIN)/python -m pytest -q tests/browser -k measured

site: $(READY) ## the study as a site, with everything that is published, in results/site/; opens from a disk too
	@$(BIN)/python scripts/build_site.py

pages: $(READY) ## the explorers as static pages, their sliders' frames drawn beforehand, in results/pages/
	@$(BIN)/python -m workbench export

pictures: $(READY) ## render the notebooks in a real JupyterLab and Chromium, light and dark
	@PICTURES=results/published/pictures PICTURES_BUDGET=quick $(BIN)/python -m pytest -q tests/browser -k "in_the_browser or every_slider"

lock: $(READY) ## after a change of a version: requirements.lock with hashes, and LICENSES.md
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/python scripts/lock.py
	@$(BIN)/python scripts/licences.py

audit: $(READY) ## known vulnerabilities in the tested versions, if the data on them can be reached
	@$(BIN)/python scripts/audit.py

clean: ## remove the environment and caches; results stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
