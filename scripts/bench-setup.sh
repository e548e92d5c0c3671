#!/usr/bin/env bash
# The peers that `make bench` measures beside KalamDB, from Debian. bench/run.sh starts private instances of them.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/setup.sh bench
