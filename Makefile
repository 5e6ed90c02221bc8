# The ways in. Everything is installed into .venv from the pinned requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests wait for servers half of their time, so one more works than there are cores.
WORKERS := $(shell test "$$(nproc 2>/dev/null || echo 2)" -lt 4 && echo 3 || echo 4)
OLDEST_DUCKDB := $(shell sed -n 's/.*"duckdb>=\([0-9.]*\),.*/\1/p' pyproject.toml)

# Tests start hundreds of processes, and each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install test test-system test-oldest demo up down deploy lint bench faultlab documents pictures pins clean

install: $(VENV)/installed ## make the environment, with the command .venv/bin/availability

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@# The pip of Python 3.11 takes twice as long for the rest.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

test: install ## run all tests but those of test-system
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not system"

test-system: install ## run the tests that need a browser, Docker or a mirror of others
	$(BIN)/python -m pytest -m system

test-oldest: install ## run the tests of the history on the oldest DuckDB that we support
	@test -d .local/duckdb-$(OLDEST_DUCKDB) || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --target .local/duckdb-$(OLDEST_DUCKDB) duckdb==$(OLDEST_DUCKDB)
	PYTHONPATH=.local/duckdb-$(OLDEST_DUCKDB) $(BIN)/python -c \
		"import duckdb; assert duckdb.__version__ == '$(OLDEST_DUCKDB)', duckdb.__version__"
	PYTHONPATH=.local/duckdb-$(OLDEST_DUCKDB) $(BIN)/python -m pytest -n $(WORKERS) \
		$(patsubst %,tests/analytics/test_%.py,availability commands connection publication queries)

demo: install ## see it work: a hub that misbehaves, a run that is killed, every byte proven
	$(BIN)/python -m deployments.demo

up: install ## a local Prefect server and worker with all deployments; SAMPLE=1 with a sample hub behind it
	$(BIN)/python -m deployments.local up $(if $(SAMPLE),--sample)

down: install ## stop what `make up` has started
	$(BIN)/python -m deployments.local down

deploy: install ## bring the server that PREFECT_API_URL names to what is written here; POOL=docker moves the runs
	$(BIN)/python -m deployments.deploy $(if $(POOL),--pool $(POOL))

lint: install ## style, types, and the made documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m deployments.documents --check
	$(BIN)/python -m analytics.documents --check

bench: install ## measure, beside what people use today
	$(BIN)/python -m benchmarks

faultlab: install ## damage a thousand files on purpose: all found, all repaired
	$(BIN)/python -m deployments.faultlab

documents: install ## make the documents on settings and events anew
	$(BIN)/python -m deployments.documents
	$(BIN)/python -m analytics.documents

pictures: install ## take the README's pictures anew, in a real browser at the real UI
	PICTURES=$(CURDIR)/docs/pictures $(BIN)/python -m pytest -q tests/deployments/test_browser.py

pins: install ## choose the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --upgrade --python-version 3.11 --no-annotate --no-header --group dev \
		pyproject.toml --output-file requirements.txt

clean: ## remove what `make` has made
	rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache
