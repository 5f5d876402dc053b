# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage lint format bench bench-quality bench-speed docs clean

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

demo: $(VENV)/.ok  ## the six models on handwritten digits; writes isthmus-demo/
	$(BIN)/isthmus demo

# One thread a process: two torch processes of two threads each slow one another tenfold on two cores.
test: $(VENV)/.ok  ## every test, in parallel
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow"

coverage: $(VENV)/.ok  ## every test, half as long again, and the branches that none of them reaches
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -q -n auto --dist worksteal -m "not slow"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ok  ## the numbers of docs/notes.md, measured again; a quarter of an hour on two cores
	$(BIN)/python benchmarks/notes.py

bench-quality: $(VENV)/.ok  ## docs/quality.md measured again, in its short form; needs Debian's dataset-fashion-mnist
	$(BIN)/python benchmarks/quality/all.py

$(VENV)/.bench: $(VENV)/.ok
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[bench]"
	touch $@

bench-speed: $(VENV)/.bench  ## docs/speed.md measured again, beside other libraries; the machine should be idle
	$(BIN)/python benchmarks/speed
	$(BIN)/python -m pytest -q -m slow

docs: $(VENV)/.docs  ## the HTML pages; fails on a warning, or on a page that loads anything from another host
	rm -rf docs/api  # generated pages of names that may be gone
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

clean:
	rm -rf $(VENV) docs/_build isthmus-demo
