PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup sweep test simulate kills planted-bugs lint docs lock clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

sweep: setup
	$(BIN)/sweeps run examples/digits.toml
	@echo "the report is in $$($(BIN)/sweeps report runs/digits)"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# PyTorch without a hash: which build an index holds under this version depends on the machine.
.venv/frameworks: frameworks.lock .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r frameworks.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torch==2.13.0
	touch $@

# A dead worker ends the run and is named: with another in its place xdist 3.8 waits for ever in the end.
test: lint .venv/frameworks
	$(BIN)/python -m pytest -n auto --dist loadgroup --max-worker-restart=0

docs: setup
	$(BIN)/sphinx-build -q -W --keep-going docs build/site
	@echo "the docs are in build/site/index.html"

# Not part of `make test`: as long as one likes.
SEEDS ?= 20000
FIRST ?= 0
simulate: setup
	$(BIN)/python tests/simulate.py $(FIRST) $(SEEDS)

N ?= 300
BACKEND ?= local
kills: setup
	$(BIN)/python tests/kills.py $(N) $(FIRST) $(BACKEND)

planted-bugs: setup
	$(BIN)/python tests/planted_bugs.py

LOCK := --generate-hashes --universal --python-version 3.11 --custom-compile-command "make lock" -q
lock: setup
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev $(LOCK) -o requirements.lock
	echo 'torch ; python_version < "3"' > .venv/overrides  # its CUDA packages would come along
	$(BIN)/uv pip compile --group frameworks -c requirements.lock --override .venv/overrides $(LOCK) -o frameworks.lock

clean:
	rm -rf .venv runs build .hypothesis .mypy_cache .ruff_cache .pytest_cache
