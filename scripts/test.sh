#!/usr/bin/env bash
# Runs every test against the build in $KALAMDB_BUILD (build/release): unit tests and fuzz corpora with ctest, the black-box
# tests tests/it/*.test.ts with node:test, the SQL files of tests/sql with tests/sql/run.ts.
#
# Shows what each suite prints, then one line for each, and ends with "N passed, N failed". Exits with 1 when something failed
# or when nothing ran. A suite that ends badly without having counted a failure is one failure.
#
#   scripts/test.sh            everything
#   scripts/test.sh unit it    only these suites (unit, it, sql)
#   IT=resume scripts/test.sh it   only the files of tests/it whose name holds "resume"
set -uo pipefail
cd "$(dirname "$0")/.."

build=$(realpath -m "${KALAMDB_BUILD:-build/release}")
export KALAMDB_BUILD=$build
suite_seconds=${SUITE_SECONDS:-1200}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0
failed=0
summary=()
# count NAME PASSED FAILED STATUS: adds one suite up.
count() {
    local name=$1 ok=${2:-0} bad=${3:-0} status=$4
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$ok" -eq 0 ]; }; then
        bad=1
        name="$name (ended with status $status after $ok tests)"
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
    summary+=("$(printf '%6d passed %4d failed  %s' "$ok" "$bad" "$name")")
}

run_unit() {
    local status total bad
    timeout "$suite_seconds" ctest --test-dir "$build" --no-tests=error --output-on-failure -j "$(nproc)" 2>&1 | tee "$work/unit"
    status=${PIPESTATUS[0]}
    # "97% tests passed, 1 tests failed out of 40"
    bad=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of [0-9]+$/\1/p' "$work/unit")
    total=$(sed -nE 's/^[0-9]+% tests passed, [0-9]+ tests? failed out of ([0-9]+)$/\1/p' "$work/unit")
    count "unit" "$((${total:-0} - ${bad:-0}))" "${bad:-0}" "$status"
}

# The figure of one line of the TAP summary ("# pass 12"), 0 when it never came to one.
tap_figure() {
    local n
    n=$(sed -nE "s/^# $1 ([0-9]+)\$/\1/p" "$work/tap" | tail -n 1)
    echo "${n:-0}"
}

run_it_file() {
    local file=$1 name=$1 status skipped
    : >"$work/tap"
    echo "== $file"
    timeout "$suite_seconds" node_modules/.bin/tsx --test --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$work/tap" "$file" 2>&1
    status=$?
    if grep -qxF "ok 1 - $PWD/$file" "$work/tap"; then # node counts a file without tests as one that passed
        count "$name: no tests in it" 0 1 1
        return
    fi
    skipped=$(($(tap_figure skipped) + $(tap_figure todo)))
    [ "$skipped" -eq 0 ] || name="$name ($skipped skipped)"
    count "$name" "$(tap_figure pass)" "$(($(tap_figure fail) + $(tap_figure cancelled)))" "$status"
}

run_it() {
    local file
    for file in tests/it/*.test.ts; do
        [ -e "$file" ] || continue
        case "$file" in *"${IT:-}"*) run_it_file "$file" ;; esac
    done
}

run_sql() {
    local status last
    compgen -G 'tests/sql/*.slt' >/dev/null || [ -e tests/sql/run.ts ] || return
    echo "== tests/sql"
    timeout "$suite_seconds" node_modules/.bin/tsx tests/sql/run.ts 2>&1 | tee "$work/sql"
    status=${PIPESTATUS[0]}
    last=$(tail -n 1 "$work/sql" | grep -E '^[0-9]+ passed, [0-9]+ failed$')
    count "tests/sql" "$(echo "$last" | cut -d' ' -f1)" "$(echo "$last" | cut -d' ' -f3)" "$status"
}

[ $# -gt 0 ] || set -- unit it sql
for suite in "$@"; do
    case "$suite" in
    unit | it | sql) "run_$suite" ;;
    *)
        echo "unknown suite $suite: unit, it or sql" >&2
        exit 2
        ;;
    esac
done

echo
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
