# make demo: set everything up and run the main job.   make test: set everything up and run all tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
STAMP := $(VENV)/.installed
# The serving environment: the base install alone, without torch.
SERVE_VENV ?= .venv-serve
SERVE_LOCK := requirements-serve.lock
SERVE_STAMP := $(SERVE_VENV)/.installed
# AWS's runtime interface emulator, and its client for the function's Python.
LAMBDA ?= .lambda
LAMBDA_STAMP := $(LAMBDA)/.installed
# The tools that send templates; 500 MB, and only for `make templates`.
TOOLS ?= .tools
TOOLS_STAMP := $(TOOLS)/.installed
# One more than there are cores: tests wait for browsers and servers a quarter of their time.
TEST_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# What asks the server all that its OpenAPI document allows, for `make api`.
SCHEMATHESIS ?= .schemathesis
SCHEMATHESIS_STAMP := $(SCHEMATHESIS)/.installed

.PHONY: setup demo ready test templates api cluster compiled check bench docs lock clean browser faults chaos fuzz sbom licences audit

setup: $(STAMP)

$(STAMP): $(LOCK) pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r $(LOCK)
	@# All cores compile, where pip would take one; some packages carry files of Python 2.
	$(BIN)/python -W ignore -m compileall -q -q -j 0 $(VENV)/lib || true
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(SERVE_STAMP): $(SERVE_LOCK) pyproject.toml
	$(PYTHON) -m venv $(SERVE_VENV)
	$(SERVE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(SERVE_LOCK)
	$(SERVE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(LAMBDA_STAMP): tests/deploying/emulator.py $(STAMP)
	rm -rf $(LAMBDA)
	mkdir -p $(LAMBDA)
	$(BIN)/python -m tests.deploying.emulator $(LAMBDA)
	touch $@

$(TOOLS_STAMP):
	rm -rf $(TOOLS)
	$(PYTHON) -m venv $(TOOLS)/sam
	$(TOOLS)/sam/bin/python -m pip install --quiet --disable-pip-version-check aws-sam-cli==1.170.0
	npm install --silent --no-audit --no-fund --prefix $(TOOLS) osls@4.3.1 serverless-offline@14.8.2
	touch $@

# Tests open pages in a real chromium. Where it cannot be installed they are skipped, saying so.
browser:
	@command -v chromium >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
		&& { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; } \
		|| echo "chromium is not installed: tests of pages will be skipped"

demo: setup
	$(BIN)/python -m demo.run

# All that tests need beside the environment.
ready: setup $(SERVE_STAMP) $(LAMBDA_STAMP) browser

test: ready
	FLEDGED_SERVE_PYTHON=$(abspath $(SERVE_VENV))/bin/python FLEDGED_LAMBDA=$(abspath $(LAMBDA)) \
		$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# SAM's own command line, osls and serverless-offline try the templates; not part of `test`.
templates: setup $(LAMBDA_STAMP) $(TOOLS_STAMP)
	FLEDGED_TOOLS=$(abspath $(TOOLS)) FLEDGED_LAMBDA=$(abspath $(LAMBDA)) $(BIN)/python -m pytest tests/deploying/test_tools.py

$(SCHEMATHESIS_STAMP):
	rm -rf $(SCHEMATHESIS)
	$(PYTHON) -m venv $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/python -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5 pillow
	touch $@

# schemathesis against a running server; not part of `test`.
api: setup $(SCHEMATHESIS_STAMP)
	FLEDGED_SCHEMATHESIS=$(abspath $(SCHEMATHESIS))/bin/schemathesis $(BIN)/python -m pytest tests/serving/test_openapi.py

# Several processes and machines, some of which are killed: minutes, and not part of `test`.
cluster: setup
	FLEDGED_CLUSTER=1 $(BIN)/python -m pytest tests/spreading tests/training/test_on_ray.py tests/fitting/test_processes.py

# Steps that torch really compiles: half a minute of CPU time, and not part of `test`.
compiled: setup
	FLEDGED_COMPILE=1 $(BIN)/python -m pytest tests/fitting/test_compiling.py

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Kills or fails every file operation of every command: hours. A sample is part of `test`.
faults: setup
	$(BIN)/python -m tests.faults

# A tool of others kills a training at its file operations: tens of minutes.
CHAOS ?= .chaos
POINTS ?= 1000
chaos: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(CHAOS) ckpt-chaos==0.1.8
	$(BIN)/python -m tests.faults.chaos $(CHAOS) --max-points $(POINTS)

# Damaged photos on all ways in, then ten minutes of atheris (FUZZ_S seconds each of three harnesses). Findings become tests. HOSTILE=DIR adds a folder of photos.
FUZZ ?= .fuzz
FUZZ_S ?= 200
FLIPS ?= 10000
HOSTILE ?=
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(FUZZ)/tool atheris==3.0.0
	$(BIN)/python -m fuzz.photos --flips $(FLIPS) $(if $(HOSTILE),--folder $(HOSTILE))
	$(BIN)/python -m fuzz.seeds $(FUZZ)/seeds
	for part in decoding requests events; do mkdir -p $(FUZZ)/$$part && PYTHONPATH=$(FUZZ)/tool $(BIN)/python -m fuzz.$$part \
		$(FUZZ)/$$part $(FUZZ)/seeds -max_total_time=$(FUZZ_S) -timeout=5 -rss_limit_mb=1024 -artifact_prefix=$(FUZZ)/ || exit 1; done

# What is installed with fledged: names, versions and licences, for people and as CycloneDX; both in dist/.
sbom licences: $(SERVE_STAMP)
	$(SERVE_VENV)/bin/python docs/supply.py dist

# Whether a hole is known in what is pinned; fails too where the index of them cannot be reached.
audit:
	$(PYTHON) docs/audit.py $(LOCK) $(SERVE_LOCK)

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python docs/settings.py

# Pins what CI installs. The CUDA packages of torch are pinned by torch itself.
lock: setup
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra train --extra collect --extra dev --output-file $(LOCK) pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file $(SERVE_LOCK) pyproject.toml

clean:
	rm -rf $(VENV) $(SERVE_VENV) $(LAMBDA) $(TOOLS) $(SCHEMATHESIS) $(FUZZ) $(CHAOS) demo/out build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
