#!/usr/bin/env bash
# Runs each libFuzzer target for FUZZ_SECONDS (60) from its corpus in tests/fuzz/corpus. What it finds on the way stays in
# build/fuzz/corpus; an input that breaks something is in build/fuzz/artifacts: copy it to tests/fuzz/corpus/<name>
# with the fix. FUZZ=toml runs one target.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh fuzz help >/dev/null # configures
mapfile -t targets < <(ninja -C build/fuzz -t targets all | sed -nE 's/^(fuzz_[a-z0-9_]+): phony$/\1/p' | grep -E "^fuzz_${FUZZ:-.*}\$")
if [ ${#targets[@]} -eq 0 ]; then
    echo "no fuzz target of that name" >&2
    exit 1
fi
scripts/build.sh fuzz "${targets[@]}"
failed=()
for target in "${targets[@]}"; do
    name=${target#fuzz_}
    mkdir -p "build/fuzz/corpus/$name" build/fuzz/artifacts "tests/fuzz/corpus/$name"
    echo "== $target for ${FUZZ_SECONDS:-60} s"
    "build/fuzz/tests/fuzz/$target" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -verbosity=0 -artifact_prefix="build/fuzz/artifacts/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" ||
        failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}; inputs are in build/fuzz/artifacts" >&2
    exit 1
fi
echo "${#targets[@]} fuzz targets, nothing found"
