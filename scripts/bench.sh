#!/usr/bin/env bash
# Runs the benchmarks against build/release.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -f bench/run.sh ]; then
    echo "bench/run.sh does not exist: there are no benchmarks to run" >&2
    exit 1
fi
export KALAMDB_BUILD=${KALAMDB_BUILD:-$PWD/build/release}
exec bash bench/run.sh "$@"
