# Two commands on a fresh machine: `make demo` and `make test`. Both make a virtual environment and install into it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Installed once per change of what is to be installed.
STAMP := $(VENV)/.installed

.PHONY: api-diff assets demo docs openapi test pipelines lint format install mutants audit clean

demo: install  ## rank three ImageNet checkpoints on scikit-learn's digits
	$(BIN)/frontrunner demo

# A process a core, a file each. What has to hit a moment of short work (to kill it in the middle) runs alone.
test: export OMP_NUM_THREADS = 1
test: install lint  ## every check and every test
	$(BIN)/python -m pytest -m "not acceptance and not pipelines" -n 2 --dist loadfile
	$(BIN)/python -m pytest -m "acceptance and not alone" -n 2 --dist loadfile
	$(BIN)/python -m pytest -m alone

pipelines: install  ## orchestrators, each in an environment of its own below build/pipelines, with the examples for them
	$(BIN)/python -m pytest -m pipelines tests/pipelines

lint: install  ## style, types, arrows between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  ## the documentation as a site, in build/docs; a warning is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs build/docs

openapi: install  ## docs/openapi.json, the document of the HTTP interface as it is now
	$(BIN)/python -m api.document > docs/openapi.json

api-diff: install  ## what the HTTP interface breaks since the last release
	.ci/api-diff $(BIN)/python

audit: install  ## build/audit/sbom.json of what is installed, and whether any of it is known to be vulnerable
	.ci/audit $(BIN)/python build/audit

assets:  ## the vendored scripts of pages and reports, made again from npm's packages; needs Node 20 and a network
	cd frontrunner/report/vendoring && npm ci && npm run vendor

mutants: install  ## mutations of the formulas that no test notices; OF=frontrunner/scores/lda.py SAMPLE=200 SEED=0 JOBS=2
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[mutants]'
	$(BIN)/python -m benchmarks.mutants $(OF) --jobs $(or $(JOBS),2) --seed $(or $(SEED),0) $(if $(SAMPLE),--sample $(SAMPLE))

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,test]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
