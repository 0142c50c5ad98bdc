# `make book` and `make test` are all that is needed; `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHAPTERS = $(wildcard book/[0-9]*.md)
# As many processes as there are cores; what shares a costly fixture stays in one.
PYTEST = $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup

# The first Python 3.11 or newer on the path; `make book PYTHON=...` takes another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help book test check fast style equations sentences lab author pdf mutants clean

help:  ## list what make can do
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found." \
		"Install it, or say where it is: make book PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@# A double click on a chapter opens it as a notebook, in this environment only.
	JUPYTER_CONFIG_DIR=$(VENV)/etc/jupyter $(BIN)/jupytext-config set-default-viewer markdown myst
	@touch $@

book: $(READY)  ## build the book: every chapter run, every page checked
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The book is open at $(CURDIR)/_build/html/index.html"

check: $(READY)  ## before a commit: style, types, equations, sentences, the fast tests
	@$(MAKE) --no-print-directory -j 3 style equations sentences fast

test: $(READY) style  ## prove it: style, types, and the whole test suite
	$(PYTEST)

fast: $(READY)  ## the tests that take less than a second or two
	$(PYTEST) -q -m "not slow"

style: $(READY)  ## style and types alone
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

equations: $(READY)  ## run the equations of every chapter
	@said=$$($(BIN)/rnn-companion equations $(CHAPTERS)) && echo "The equations hold." \
		|| { echo "$$said" | grep -v ': ok, '; exit 1; }

sentences: $(READY)  ## see that no sentence is stronger than what is shown
	$(BIN)/rnn-companion claims $(wildcard book/*.md)

lab: $(READY)  ## read and run the chapters in JupyterLab: copies, in notebooks/
	$(BIN)/rnn-companion notebooks --out notebooks
	$(BIN)/jupyter lab notebooks

author: $(READY)  ## open the chapters' sources in JupyterLab, to write on the book
	$(BIN)/jupyter lab book

pdf: book  ## the whole book as one PDF, by Chromium
	$(BIN)/jupyter-book build . --builder singlehtml
	cp _build/singlehtml/book/intro.html _build/singlehtml/book.html
	$(BIN)/python book/_ext/pdf.py _build/singlehtml/book.html _build/book.pdf
	@echo "The book is at $(CURDIR)/_build/book.pdf"

mutants: $(READY)  ## change every equation a little, plant falsehoods; see each noticed
	$(BIN)/rnn-companion equations --mutants $(CHAPTERS)
	$(BIN)/rnn-companion claims --planted book/trial.md

clean:  ## remove what was built; the environment stays
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
