# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
# cpu, cuda, or auto: wheels without CUDA where there is no NVIDIA GPU. It counts for a new .venv.
TORCH ?= auto

.PHONY: demo test test-fast test-all versions fuzz soak perf docs lint format type check clean

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	.ci/torch $(RUN) $(TORCH)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[clip,openvino,dev]"
	touch $@

demo: $(VENV)/.installed  ## train config/demo.py on generated data and show the result
	$(RUN) train_config.py config/demo.py --device auto

test: $(VENV)/.installed  ## the whole default suite
	$(RUN) -m pytest -n 2 --dist worksteal --durations=15

test-fast: $(VENV)/.installed  ## without what takes more than five seconds
	$(RUN) -m pytest -n 2 --dist worksteal -m "not slow and not integration and not exhaustive"

test-all: $(VENV)/.installed  ## with the long walks too (every backbone, every method), before a release
	$(RUN) -m pytest -n 2 --dist worksteal --durations=15 -m "exhaustive or not exhaustive"

versions:  ## the oldest and the newest Python and packages that pyproject.toml promises, by uv
	PYTHON=$(PYTHON) .ci/versions

fuzz: $(VENV)/.installed  ## thousands of damaged configs, labels, checkpoints, images and commands
	CLIQA_FUZZ=long $(RUN) -m pytest -n 2 tests/fuzz tests/engine/trial

soak: $(VENV)/.installed  ## kill runs of every method, resume them, compare to the bit: SOAK="--kills 50"
	OMP_NUM_THREADS=1 $(RUN) -m perf.soak $(SOAK)

perf: $(VENV)/.installed  ## time what README and docs claim, against named baselines: PERF="training_overhead"
	OMP_NUM_THREADS=1 $(RUN) -m perf $(PERF)

docs: $(VENV)/.installed  ## the documentation as a site in build/site, without the network
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

format: $(VENV)/.installed
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

lint: $(VENV)/.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/hadolint Dockerfile

type: $(VENV)/.installed
	$(RUN) -m mypy

check: lint type test  ## everything that must be green before a change lands

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
