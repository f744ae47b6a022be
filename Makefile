# Two commands for everyone: `make demo` and `make test`. Each does all it needs, without root, on a Linux machine that
# has a Python >= 3.10; what is done already is not done again.

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
LOCKS := $(wildcard srtctl/assets/locks/*.txt)
JOBS ?= logical
TESTS ?= tests
SLURM ?= outputs/.slurm
ENGINE_ENV ?= $(VENV)/tools/sglang-0.5.23-cpu
NSYS_ENV ?= $(VENV)/tools/nsys-2023.4.4
ENGINE ?= engine

.DEFAULT_GOAL := help
.PHONY: help demo test test-engine engine-env test-nsys soak bench lint types contracts docs format install tools clean slurm-up slurm-down

help:
	@echo "make demo       start a disaggregated job on this machine, measure it, show the results"
	@echo "make test       all tests that are quick enough for every change"
	@echo "make lint types contracts docs      the other checks of .ci/run"
	@echo "make format     put sources into the form that lint wants"
	@echo "make soak       the long tests"
	@echo "make test-engine     tests with the real SGLang, which runs without a GPU (3.5 GB, a quarter of an hour of two idle cores);"
	@echo "                     ENGINE='here and dynamo-pd' runs some of them, as pytest -k does"
	@echo "make test-nsys       the profiler's command line and stop with the real nsys (190 MB of Debian's packages; x86_64)"
	@echo "make bench      time the commands and the stack"
	@echo "make slurm-up   start a Slurm cluster of 4 nodes on this machine to try srtctl on (root); make slurm-down ends it"
	@echo "make clean      remove .venv and everything generated"

# ---- for users

demo: tools
	$(BIN)/srtctl apply name=demo model=tiny mode=disagg backend=mocker benchmark=sa-bench \
		'benchmark.concurrencies=[4,8]' benchmark.isl=256 benchmark.osl=64 frontend.count=2 backend.speedup_ratio=1 --wait
	@$(BIN)/srtctl results

test: tools $(STAMPS)/tools-old
	$(BIN)/python -m pytest -n $(JOBS) $(TESTS)

# A Slurm cluster on this machine, of 4 nodes that exist in software only; needs root.
slurm-up: install
	@$(BIN)/python -m tests.slurm.testcluster up $(SLURM)

slurm-down:
	@$(BIN)/python -m tests.slurm.testcluster down $(SLURM)

# ---- for those who change srtctl

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

docs: install
	$(BIN)/python docs/generate_reference.py --check
	$(BIN)/mkdocs build --strict --quiet

engine-env: tools
	tests/engine/install $(abspath $(ENGINE_ENV))

test-engine: engine-env
	ENGINE_ENV=$(abspath $(ENGINE_ENV)) $(BIN)/python -m pytest -m engine -k '$(ENGINE)' -s tests/engine

# By hand, after a change of what stands around nsys: 190 MB of packages are too much for every change.
test-nsys: install
	tests/nsys/install $(NSYS_ENV)
	NSYS_ENV=$(abspath $(NSYS_ENV)) $(BIN)/python -m pytest -m nsys tests/nsys

soak: tools $(STAMPS)/tools-old
	$(BIN)/python -m pytest -m soak --timeout 1800 $(TESTS)
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python -m tests.chaos --rounds 200
	$(BIN)/python -m tests.chaos --rounds 200 --slurm
	$(BIN)/python -m benchmarks.shared

bench: tools
	$(BIN)/python benchmarks/measure.py

clean:
	rm -rf $(VENV) site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# ---- setting up

install: $(STAMPS)/install
tools: $(STAMPS)/tools

$(STAMPS)/venv:
	.ci/make-venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/install: pyproject.toml .ci/constraints.txt $(STAMPS)/venv
	.ci/pip $(VENV) install --quiet --constraint .ci/constraints.txt --editable '.[services,dev,docs]'
	@touch $@

$(STAMPS)/tools: $(LOCKS) $(STAMPS)/install
	$(BIN)/srtctl tools install dynamo client
	@touch $@

# The release before and the harness, which the tests use too.
$(STAMPS)/tools-old: $(LOCKS) $(STAMPS)/tools
	$(BIN)/srtctl tools install dynamo==1.4.2 lm-eval
	@touch $@
