# `make demo` and `make test` set up everything they need on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint format bench bench-quality bench-sparse bench-speed bench-explorer fuzz mutants scan soak dist sbom docs clean

$(VENV)/.ok: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/.lint: $(VENV)/.ok
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[lint]"
	touch $@

$(VENV)/.docs: $(VENV)/.ok
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

demo: $(VENV)/.ok  ## fit the six models to handwritten digits; writes isthmus-demo/
	$(BIN)/isthmus demo

# One thread per process: on two cores, two processes with two threads each are ten times slower.
# COVERAGE=1 also measures which branches the tests reach, and fails below the limit in pyproject.toml.
PYTEST := -m pytest -q -rs -n auto --dist worksteal -m "not slow"

# Tests in a browser, and those of larger images, need two packages of Debian; without them they are skipped, with a line that says so.
BROWSER := $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null))
MISSING := $(strip $(if $(BROWSER),,chromium) $(if $(wildcard /usr/share/datasets/fashion-mnist),,dataset-fashion-mnist))

.PHONY: packages
packages:
ifneq ($(MISSING),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive; (apt-get install -y -qq $(MISSING) || (apt-get update -qq && apt-get install -y -qq $(MISSING))) >/dev/null \
			|| echo "$(MISSING) could not be installed: tests that need it are skipped"; \
	else echo "$(MISSING) is not installed: tests that need it are skipped"; fi
endif

test: $(VENV)/.ok packages  ## run all tests in parallel; installs Chromium and Fashion-MNIST if they are missing and the user is root
ifdef COVERAGE
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
else
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)
endif

# Two environments beside .venv, for `make test-oldest` and `make test-newest`. TESTS=tests/data runs a part of the tests.
# torch is the one of constraints.txt in both: only the oldest and newest versions of all others are installed.
OLDEST_PYTHON ?= python3.11
NEWEST_PYTHON ?= $(shell for v in 3.14 3.13 3.12 3.11; do python$$v -c "" 2>/dev/null && echo python$$v && break; done)
TESTS ?=

$(VENV)-oldest/.ok: pyproject.toml constraints.txt constraints-oldest.txt
	$(OLDEST_PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/pip install -q --disable-pip-version-check -c constraints.txt -c constraints-oldest.txt -e ".[test]"
	touch $@

$(VENV)-newest/.ok: pyproject.toml constraints.txt
	$(NEWEST_PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/pip install -q --disable-pip-version-check --upgrade --upgrade-strategy eager -c constraints.txt -e ".[test]"
	touch $@

.PHONY: test-oldest test-newest
test-oldest test-newest: test-%: $(VENV)-%/.ok packages  ## run the tests with the oldest, or the newest, versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(VENV)-$*/bin/python $(PYTEST) $(TESTS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ok  ## measure the numbers of docs/notes.md; a quarter of an hour on two cores
	$(BIN)/python benchmarks/notes.py

bench-quality: $(VENV)/.ok  ## measure docs/quality.md in its short form; needs Debian's dataset-fashion-mnist
	$(BIN)/python benchmarks/quality/all.py

bench-sparse: $(VENV)/.ok  ## measure docs/sparse.md, beside SAELens; minutes on two idle cores
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[bench-sparse]"
	$(BIN)/python benchmarks/sparse
	$(BIN)/python benchmarks/sparse/render.py

$(VENV)/.bench: $(VENV)/.ok
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[bench]"
	touch $@

bench-speed: $(VENV)/.bench  ## measure docs/speed.md, with other libraries; needs an idle machine
	$(BIN)/python benchmarks/speed
	$(BIN)/python -m pytest -q -m slow

bench-explorer: $(VENV)/.ok packages  ## measure the page of `isthmus explore` in Chromium; writes benchmarks/results/explorer.json
	$(BIN)/python benchmarks/explorer

fuzz: MINUTES ?= 10
fuzz: $(VENV)/.ok  ## change saved models, checkpoints and files of data at random, four times for ten minutes; see docs/trust.md
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[fuzz]"
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/trust/fuzz.py --minutes $(MINUTES)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/trust/guided.py --minutes $(MINUTES)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/trust/quick.py --minutes $(MINUTES)
	OMP_NUM_THREADS=1 nice $(BIN)/python benchmarks/trust/readers.py --minutes $(MINUTES)

mutants: SAMPLE ?= 24
mutants: $(VENV)/.ok  ## change the source at random, and look whether the tests notice; see docs/trust.md
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[mutants]"
	OMP_NUM_THREADS=1 nice $(BIN)/python benchmarks/trust/mutants.py --sample $(SAMPLE)

scan: $(VENV)/.ok  ## let modelscan and picklescan look at saved models; they have an environment of their own
	$(PYTHON) -m venv build/scan && build/scan/bin/pip install -q --disable-pip-version-check modelscan picklescan
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/trust/scan.py build/scan/bin

soak: MINUTES ?= 60
soak: $(VENV)/.ok  ## memory in an hour of partial_fit, and of requests to the explorer; see docs/trust.md
	OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python benchmarks/trust/soak.py --minutes $(MINUTES)

$(VENV)/.release: $(VENV)/.ok
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[release]"
	touch $@

# The second time in another folder, time zone and language, and with other rights of new files.
BUILD = git archive HEAD | tar -x -C $(1) && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(abspath $(BIN))/pyproject-build -q --outdir $(2) $(1)
dist: $(VENV)/.release  ## build the wheel and the sdist of the last commit twice, and compare their bits
	rm -rf build dist && mkdir -p build/first build/another/second
	$(call BUILD,build/first,dist)
	umask 077; export TZ=Pacific/Auckland LC_ALL=C; $(call BUILD,build/another/second,build/dist)
	diff -r dist build/dist && cd dist && sha256sum *

sbom: dist  ## write dist/isthmus.cdx.json: what an installation of the wheel consists of, as CycloneDX
	$(PYTHON) -m venv --without-pip build/sbom
	$(BIN)/pip --python build/sbom install -q --disable-pip-version-check -c constraints.txt dist/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible \
		-o dist/isthmus.cdx.json build/sbom/bin/python

docs: $(VENV)/.docs  ## build the HTML pages; fails on warnings, and on pages that load anything from another host
	rm -rf docs/api  # may hold pages of names that no longer exist
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest docs/_build isthmus-demo build dist mutants
