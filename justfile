# `just` lists the recipes; each is one line a person could type.

default:
    @just --list

# Everything CI runs
check:
    ./.ci/run

# The tests; arguments go to pytest
test *args:
    ./scripts/test {{ args }}

# Only what is quick
quick *args:
    ./scripts/test -m 'not slow' {{ args }}

# Format, lint, types, layers, docs
lint:
    ./scripts/check

# Repair what can be repaired by itself
fix:
    ./scripts/venv
    .venv/bin/ruff format
    .venv/bin/ruff check --fix

# Property tests and the simulated cluster with many more examples
simulate *args:
    HYPOTHESIS_PROFILE=deep ./scripts/test tests/properties {{ args }}

# Faults at random under load, for ten minutes unless told otherwise: just soak --minutes 3 --seed 7
soak *args:
    ./scripts/venv
    .venv/bin/python -m benchmarks soak {{ args }}

# Mutated requests for the HTTP edge, for so many seconds
fuzz *args:
    ./scripts/fuzz {{ args }}

# The documentation, live
docs:
    ./scripts/venv
    .venv/bin/zensical serve

# The example shop
example *args:
    ./scripts/run-example {{ args }}
