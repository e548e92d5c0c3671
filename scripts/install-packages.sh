#!/usr/bin/env bash
# install-packages.sh FILE...: installs the Debian packages that the files name and that are missing; nothing else
# touches the system. Needs root or sudo only when something is missing.
set -euo pipefail

if ! command -v dpkg-query >/dev/null; then
    echo "This set-up knows Debian only (no dpkg here). Install the equivalents of:" >&2
    grep -hv '^#' "$@" >&2
    exit 1
fi

missing=()
while read -r name; do
    # "ii ": wanted and installed, by whichever version.
    case "$(dpkg-query -W -f '${db:Status-Abbrev}\n' "$name" 2>/dev/null)" in
    *ii*) ;;
    *) missing+=("$name") ;;
    esac
done < <(grep -hv -e '^#' -e '^$' "$@")
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -o Acquire::Retries=3 update -q
"${as_root[@]}" apt-get -o Acquire::Retries=3 install -q -y --no-install-recommends "${missing[@]}"
