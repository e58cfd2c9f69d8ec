# Two commands are enough: `make demo` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV ?= .venv
# One thread per worker: two threads per test on two cores only get into each other's way.
export OMP_NUM_THREADS ?= 1
BIN := $(VENV)/bin
WORKERS ?= 2
READY := $(VENV)/.ready

.PHONY: help demo test test-studies test-gpu test-slow bench bench-full bench-features lint format schema lock clean

help:
	@echo "make demo       make the environment and run the demo study (offline, four minutes on two cores)"
	@echo "make test       make the environment and run the tests"
	@echo "make test-studies  a whole study on real recordings, ten minutes"
	@echo "make test-slow  the simulations that take minutes"
	@echo "make test-gpu   encoders and shapes on a CUDA device"
	@echo "make bench      encoders, RSA, curvature and shapes beside their peers: time, ratio, agreement (SUITES=rsa ROWS=…)"
	@echo "make bench-full a problem of full size: time, and memory beside what the plan said"
	@echo "make bench-features  20 000 images through a ResNet-50: images per second, memory while they run, disk (IMAGES='--size 224')"
	@echo "make lint       ruff, pyright, codespell, import-linter, snakefmt, snakemake --lint"

$(READY): pyproject.toml envs/constraints-cpu.txt envs/vision.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "isocortex needs Python 3.11 or newer: make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint envs/constraints-cpu.txt --editable ".[workflow,dev,models,recordings]"
	# Their dependencies would bring torch for CUDA, gigabytes that a machine without a GPU has no use for.
	$(BIN)/python -m pip install --quiet --constraint envs/constraints-cpu.txt --no-deps --requirement envs/vision.txt
	@touch $@

demo: $(READY)
	$(BIN)/snakemake
	@echo "Open results/demo/index.html"

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow and not study and not gpu"

test-studies: $(READY)
	$(BIN)/python -m pytest -m study

test-gpu: $(READY)
	$(BIN)/python -m pytest -m gpu

test-slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow -s

# The peers' environment is their own: their pins never meet the project's.
PEERS ?= .peers
$(PEERS)/.ready: tests/benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement tests/benchmarks/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --no-deps GraphRicciCurvature==0.6.1 neuralpredictors==0.3.0
	@touch $@

SUITES ?= encoders readouts rsa trsa ricci shape stochastic_shape metrics
bench: $(READY) $(PEERS)/.ready
	@for suite in $(SUITES); do \
		OMP_NUM_THREADS=$${THREADS:-$$(env -u OMP_NUM_THREADS nproc)} ISOCORTEX_PEERS=$(PEERS) $(BIN)/python tests/benchmarks/$$suite.py $(ROWS) || exit 1; \
	done

bench-full: $(READY)
	OMP_NUM_THREADS=$${THREADS:-$$(env -u OMP_NUM_THREADS nproc)} $(BIN)/python tests/benchmarks/full_size.py $(SIZE)

bench-features: $(READY)
	OMP_NUM_THREADS=$${THREADS:-$$(env -u OMP_NUM_THREADS nproc)} $(BIN)/python tests/benchmarks/extraction.py $(IMAGES)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow

schema: $(READY)
	$(BIN)/python -m isocortex.study.schema > workflow/schemas/study.schema.json

lock: $(READY)
	@{ sed -n '/^#/p' envs/constraints-cpu.txt; $(BIN)/pip freeze --exclude-editable | sed "s/+c[pu0-9]*$$//"; } > envs/constraints.new
	mv envs/constraints.new envs/constraints-cpu.txt

clean:
	rm -rf results/*/ resources/*/ .snakemake
