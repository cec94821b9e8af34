# Each target makes or reuses .venv by itself, from the newest Python >= 3.11 that starts here.
# HVEN_PYTHON=/path/to/python3 chooses another one; FAMILY=gradients limits test-slow to one plugin family.

.PHONY: demo test test-slow lint docs bench peers clean
export HVEN_PYTHON

python = .venv/bin/python

demo:
	@tools/make-venv demo
	@.venv/bin/hven demo

test:
	@tools/make-venv dev
	@$(python) -m pytest -n auto --dist loadfile -o faulthandler_timeout=300

test-slow:
	@tools/make-venv dev
	@$(python) -m pytest -m slow $(if $(FAMILY),tests/plugins/$(FAMILY))

lint:
	@tools/make-venv dev
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(python) -m mypy
	@.venv/bin/lint-imports

docs:
	@tools/make-venv docs
	@$(python) -m sphinx --builder html --fail-on-warning --keep-going --quiet docs build/docs
	@echo "Open build/docs/index.html"

bench:
	@tools/make-venv bench
	@PYTHONPATH=tests $(python) -m benchmarks

# What some benchmarks measure against, in an environment of its own (some gigabytes); without it their rows say so.
peers:
	@tools/make-peers

clean:
	@rm -rf build dist .venv
