# The ways in. Everything is installed into .venv from the pinned requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install test demo up down lint bench faultlab documents pins clean

install: $(VENV)/installed ## make the environment, with the command .venv/bin/availability

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

test: install ## run all tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

demo: install ## see it work: a hub that misbehaves, a run that is killed, every byte proven
	$(BIN)/python -m deployments.demo

up: install ## a local Prefect server and worker with all deployments; SAMPLE=1 with a sample hub behind it
	$(BIN)/python -m deployments.local up $(if $(SAMPLE),--sample)

down: install ## stop what `make up` has started
	$(BIN)/python -m deployments.local down

lint: install ## style, types, and the made documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m deployments.documents --check

bench: install ## measure, beside what people use today
	$(BIN)/python -m benchmarks

faultlab: install ## damage a thousand files on purpose: all found, all repaired
	$(BIN)/python -m deployments.faultlab

documents: install ## make the settings' documents anew
	$(BIN)/python -m deployments.documents

pins: install ## choose the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --upgrade --python-version 3.11 --no-annotate --no-header --group dev \
		pyproject.toml --output-file requirements.txt

clean: ## remove what `make` has made
	rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache
