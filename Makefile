# Every target sets up what it needs: an isolated .venv from constraints.txt, anew when that or pyproject.toml changes.
#
#   make demo [DATA=../shared/data]   the main job in minutes: a table, demo/results.json and demo/report.html
#   make test                         all tests
#   make check                        formatter, linter, type checker, import walls
#   make bench                        our losses beside the libraries people use today
#   make setup | clean                only the environment | remove it and all that was made
#
# PYTHON=... chooses the interpreter of a new .venv; setup.sh says how one is found otherwise.

.PHONY: setup demo test check bench clean
.DEFAULT_GOAL := setup

setup: .venv/.made

.venv/.made: setup.sh pyproject.toml constraints.txt
	./setup.sh
	@touch $@

demo: setup
	rm -rf demo
	.venv/bin/plait demo --out demo $(if $(DATA),--data "$(DATA)")

test: setup
	.venv/bin/pytest -n 2

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	.venv/bin/pyright

# Beside what people use today; BENCH=losses runs one of them.
bench: setup
	./setup.sh bench
	set -e; for file in $(if $(BENCH),benchmarks/$(BENCH).py,$(filter-out benchmarks/measure.py,$(wildcard benchmarks/*.py))); do \
		echo "== $$file"; .venv/bin/python "$$file"; done

clean:
	rm -rf .venv .uv .uv.log .peers demo build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find core apps tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
