#!/usr/bin/env bash
# Formats the C files named, or all that are tracked.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
    mapfile -t files < <(git ls-files '*.c' '*.h')
    set -- "${files[@]}"
fi
exec clang-format -i "$@"
