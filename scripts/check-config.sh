#!/usr/bin/env bash
# Every active key of api/config.def must be read by something outside the loader: an option that is parsed and then forgotten
# is worse than none. Prints those that nobody reads.
set -uo pipefail
cd "$(dirname "$0")/.."
unread=0
while read -r field; do
    if ! grep -rqwE "$field" --include='*.c' --include='*.h' src --exclude='config*' ; then
        echo "nothing reads $field"
        unread=$((unread + 1))
    fi
done < <(sed -nE 's/^KL_CONFIG_(INT|BOOL|STR|SECRET|LIST|ENUM)\("[^"]+", ([a-z0-9_]+),.*/\2/p' api/config.def)
echo "$unread active keys without a reader"
[ "$unread" -eq 0 ]
