# Everything here needs make and python3 (3.11 or newer) with venv; the rest comes from PyPI, pinned by hash.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := tests/peers/node
NPM := $(shell sh -c 'command -v npm')

.PHONY: demo test test-faults test-nights lint peers bench docs screenshots wheel clean lock catalogs

demo: $(READY)  ## build the sample roster into out/ with a throw-away secret
	$(BIN)/invites build sample_roster.csv --demo --out out

test: lint $(if $(NPM),peers)  ## everything: style, types, imports, tests
	$(BIN)/pytest -n 2 --dist worksteal

test-faults: $(READY)  ## hundreds of kills and injected faults; needs strace and postgresql
	$(BIN)/pytest -n 2 --dist worksteal -m faults tests/system tests/receiver

test-nights: $(READY)  ## every zone, time and night of 2026-2030; about 20 minutes
	$(BIN)/pytest -m nights tests/nights

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

peers: $(PEERS)/node_modules/.ready  ## what tests take from npm, pinned by hash; needs npm

catalogs: $(READY)  ## gather the texts of the templates into every catalog; new ones are to be translated
	mkdir -p build
	$(BIN)/pybabel -q extract -F babel.cfg -k says -k counts:1,2 -k _message -k _messages:1,2 --no-location \
	  --omit-header -o build/messages.pot .
	for file in templates/catalogs/*.po; do case $$file in *@*) ;; *) \
	  $(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date \
	  --width 98 -i build/messages.pot -o $$file -l $$(basename $$file .po) ;; esac; done

bench: $(READY)  ## speed and memory beside an ordinary script, on tmpfs
	$(BIN)/python -m benchmarks.build
	$(BIN)/python -m benchmarks.nights

docs: $(READY)  ## the pages made from the code anew, and all of docs/ as a site in site/
	$(BIN)/python -m docs.reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

screenshots: $(READY)  ## docs/screenshots anew, with Chromium
	$(BIN)/python -m docs.screenshots

wheel: $(READY)
	$(BIN)/python -m build --no-isolation --outdir dist

LOCK := uv pip compile --quiet --universal --python-version 3.11 --extra postgresql --extra m365 \
  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml

lock:  ## write the locks anew from pyproject.toml, with hashes: to run, and to develop (needs uv)
	$(LOCK) --group dev --output-file requirements/dev.lock
	$(LOCK) --constraints requirements/dev.lock --output-file requirements/run.lock

clean:
	rm -rf $(VENV) out dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

$(PEERS)/node_modules/.ready: $(PEERS)/package-lock.json
	npm ci --silent --prefix $(PEERS)
	touch $@
