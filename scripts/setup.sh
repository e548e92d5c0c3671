#!/usr/bin/env bash
# Everything that a fresh clone needs before it can build and test: Debian packages (packages.txt, and the lists named
# as arguments: check, bench), Node for the tests, and the pinned packages of package-lock.json in build/deps.
#
#   build/deps/duckdb        libduckdb.so and duckdb.h, all that the server takes from there
#   build/deps/node_modules  test tools, reached as ./node_modules
#
# A second run with nothing to do ends at once: build/deps/stamp holds a hash of all that this depends on.
set -euo pipefail
cd "$(dirname "$0")/.."

lists=(scripts/packages.txt)
for name in "$@"; do
    lists+=("scripts/packages-$name.txt")
done
deps=build/deps
mkdir -p "$deps"
exec 9>"$deps/lock"
flock 9

hash=$(sha256sum package.json package-lock.json scripts/setup.sh "${lists[@]}" | sha256sum | cut -d' ' -f1)
stamp=$deps/stamp-$(IFS=-; echo "packages${*:+-$*}")
if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && [ -e "$deps/duckdb/libduckdb.so" ] && [ -e "$deps/duckdb/duckdb.h" ] &&
    [ -e node_modules/.bin/tsx ]; then
    exit 0
fi

scripts/install-packages.sh "${lists[@]}"

# Any Node from Debian 12's on will do; one that is there is taken, wherever it came from.
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    printf 'nodejs\nnpm\n' >"$deps/packages-node.txt"
    scripts/install-packages.sh "$deps/packages-node.txt"
fi
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)'; then
    echo "Node $(node --version) is too old for the tests: 18 or newer is needed" >&2
    exit 1
fi

# No package's own scripts run; each must have the hash that the lock file gives.
if [ "$(cat "$deps/stamp-npm" 2>/dev/null)" != "$(sha256sum package-lock.json)" ] || [ ! -e "$deps/node_modules/.bin/tsx" ]; then
    rm -f "$deps/stamp-npm"
    cp package.json package-lock.json "$deps/"
    npm ci --prefix "$deps" --ignore-scripts --no-audit --no-fund --loglevel=error
    sha256sum package-lock.json >"$deps/stamp-npm"
fi
if [ -e node_modules ] && [ ! -L node_modules ]; then
    echo "./node_modules is a folder, but must be a link to $deps/node_modules: remove it" >&2
    exit 1
fi
ln -sfn "$deps/node_modules" node_modules

case "$(uname -m)" in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*)
    echo "There is no DuckDB library for $(uname -m): x86_64 and aarch64 are served" >&2
    exit 1
    ;;
esac

# place FROM TO: only when it differs, so that nothing is rebuilt for nothing, and in one step, since a server may run.
place() {
    cmp -s "$1" "$2" && return
    cp "$1" "$2.new"
    mv "$2.new" "$2"
}
mkdir -p "$deps/duckdb"
place "$deps/node_modules/@duckdb/node-bindings-linux-$arch/libduckdb.so" "$deps/duckdb/libduckdb.so"
place "$deps/node_modules/duckdb/src/duckdb/src/include/duckdb.h" "$deps/duckdb/duckdb.h"

echo "$hash" >"$stamp"
