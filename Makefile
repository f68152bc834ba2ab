# Two commands do everything on a fresh machine with Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(VENV)-uv/bin:$(PATH)

.PHONY: setup demo test build sample audit models bench-pdf wheel lint lock clean

setup: $(VENV)/.done  ## .venv from the lock

$(VENV)/.done: requirements.lock pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV)
	@touch $@

demo: setup  ## the sample class, graded in a scratch copy: scores, feedback, PDFs
	$(BIN)/python scripts/demo.py

test: setup  ## the test suite
	$(BIN)/python -m pytest -n auto --dist loadfile

build: setup  ## every assignment: source/ to release/, references recorded
	$(BIN)/course build

sample: setup  ## submitted/, autograded/, feedback/ and gradebook.db of the sample class, made anew
	$(BIN)/python scripts/make_sample.py

audit: setup  ## the fairness report of every assignment
	for a in source/*/; do $(BIN)/course audit $$(basename $$a) || exit 1; done

models: setup  ## the small networks that ship with the course, trained and measured anew (minutes)
	$(BIN)/python scripts/train_letters.py
	$(BIN)/python scripts/train_models.py

bench-pdf: setup  ## seconds for a PDF beside nbconvert's webpdf and xelatex, which it installs on Debian (about 1 GB)
	$(if $(filter 0,$(shell id -u)),,sudo) apt-get install -y --no-install-recommends chromium pandoc texlive-xetex \
		texlive-fonts-recommended texlive-plain-generic texlive-latex-recommended lmodern
	$(BIN)/python bench/pdf.py --json bench-pdf.json

wheel: setup  ## dist/: the package for learners, without solutions
	uv build --quiet --wheel

lint: setup  ## what pre-commit checks, without git hooks
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/codespell

lock: setup  ## requirements.lock and environment.yml from pyproject.toml
	uv pip compile -q pyproject.toml --group dev --all-extras --generate-hashes --universal --python-version 3.11 \
		--custom-compile-command "make lock" -o requirements.lock
	$(BIN)/python scripts/make_environment.py

clean:  ## what the commands above made, except the sample class
	rm -rf $(VENV) $(VENV)-uv .demo dist .pytest_cache .ruff_cache .mypy_cache
