#!/usr/bin/env bash
# Measures KalamDB beside its peers on this machine: run.sh [--quick] [--check] [PART...]
#
#   --quick   one short round of everything, about a minute
#   --check   end with 1 when a target is missed
#   PART      startup idle insert select live page bulk update delete group join bind; all when none is named
#
# Every instance is private, below build/bench/, on one filesystem, and gone at the end, also after a failure.
# The table goes to standard output, everything to build/bench/results.json. See README.md for what the figures mean.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cores=$(nproc)
first_id=100000000

rounds=3 seconds=4 warmup_ms=1000 single_seconds=3 events=3000 idle_ms=10000 connections=10000 users=1000 rows=100000 starts=5 facts=1000000
check=0 parts=()
for arg in "$@"; do
    case "$arg" in
    --quick) rounds=1 seconds=2 warmup_ms=500 single_seconds=1 events=1000 idle_ms=3000 users=200 rows=20000 starts=3 facts=200000 ;;
    --check) check=1 ;;
    startup | idle | insert | select | live | page | bulk | update | delete | group | join | bind) parts+=("$arg") ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(startup idle insert select live page bulk update delete group join bind)
want() { [[ " ${parts[*]} " == *" $1 "* ]]; }

build=${KALAMDB_BUILD:-$root/build/release}
bin=$build/bench
server=$build/kalamdb-server

for program in "$server" "$bin"/{kl_load,kl_live_bench,kl_startup,kl_bench_setup,redis_live,bare_h2o,duckdb_group} "$build/tests/unit/unit_sql_test_plan"; do
    if [ ! -x "$program" ]; then
        echo "$program is missing: make build" >&2
        exit 1
    fi
done

# Settings of the caller's own server must not leak into this one.
for name in $(compgen -e KALAMDB_ || true); do
    unset "$name"
done
ulimit -n "$(ulimit -Hn)"
limit=$(ulimit -n)
if [ "$limit" != unlimited ] && [ "$connections" -gt $((limit - 256)) ]; then
    connections=$((limit - 256))
fi

# Others at work on this machine spoil every figure: say how much.
busy_ticks() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8, $2 + $3 + $4 + $5 + $6 + $7 + $8 }' /proc/stat; }
read -r busy_before all_before < <(busy_ticks)
sleep 1
read -r busy_after all_after < <(busy_ticks)
busy=$((100 * (busy_after - busy_before) / (all_after - all_before > 0 ? all_after - all_before : 1)))
if [ $busy -gt 10 ]; then
    echo "warning: the machine is $busy % busy with other work; figures will be worse than they could be" >&2
fi

mkdir -p "$root/build/bench"
work=$(mktemp -d "$root/build/bench/run.XXXXXX")
samples=$work/samples
: >"$samples"
source "$here/peers.sh"
source "$here/sql_parts.sh"

stop_process() { # PID
    kill -TERM "$1" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

cleanup() {
    local rc=$?
    trap - EXIT INT TERM
    [ -n "${bare_pid:-}" ] && stop_process "$bare_pid"
    [ -n "${server_pid:-}" ] && stop_process "$server_pid"
    stop_peers
    if [ $rc -ne 0 ] && [ $rc -ne 3 ] && [ $rc -lt 128 ]; then
        echo "failed; the server's log ends with:" >&2
        tail -n 15 "$work"/server*.log >&2 2>/dev/null || true
    fi
    rm -rf "$work"
    [ $rc -eq 3 ] && rc=1
    exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Limits protect a server from its clients; here the client is meant to be too much. Everything else is as it comes.
cat >"$work/server.toml" <<'TOML'
[logging]
level = "warn"

[rate_limit]
max_queries_per_sec = 0
max_messages_per_sec = 0
max_subscriptions_per_user = 0
max_auth_requests_per_ip_per_sec = 0
max_requests_per_ip_per_sec = 0

[auth]
bcrypt_cost = 4
TOML

# start_server NAME: an empty data directory, port 0; sets server_pid, port and root_token.
start_server() {
    mkdir "$work/$1" "$work/$1.run"
    chmod 700 "$work/$1.run"
    XDG_RUNTIME_DIR=$work/$1.run "$server" --config "$work/server.toml" --data "$work/$1" --listen 127.0.0.1:0 \
        >"$work/server-$1.log" 2>&1 &
    server_pid=$!
    for _ in $(seq 200); do
        # The token file's name is the port that the server was given.
        for root_token in "$work/$1.run/kalamdb/"*.token; do
            if [ -s "$root_token" ]; then
                port=$(basename "$root_token" .token)
                return
            fi
        done
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.05
    done
    echo "the server did not start" >&2
    exit 1
}

stop_server() { # NAME
    stop_process "$server_pid"
    server_pid=
    rm -rf "${work:?}/$1" "$work/$1.run"
}

# record NAME "a=1 b=2": samples of one run.
record() {
    local pair
    for pair in $2; do
        echo "$1 ${pair%%=*} ${pair#*=}" >>"$samples"
    done
}

# run NAME COMMAND...: one measurement, recorded.
run() {
    local name=$1 line
    shift
    line=$("$@")
    record "$name" "$line"
    printf '  %-22s %s\n' "$name" "$line" >&2
    sleep 0.3
}

load() { # ARGS...
    "$bin/kl_load" --warmup-ms "$warmup_ms" "$@"
}

insert_kalamdb() { # CLIENTS SECONDS
    run "insert$1.kalamdb" load --mode insert --table bench.messages --port "$port" --tokens "$work/tokens" --pid "$server_pid" \
        --connections "$1" --duration-ms $(($2 * 1000)) --expect 'Inserted 1 row'
}

# place CORES: the servers, PostgreSQL's future processes and this script's children run there.
place() {
    local pid
    for pid in "$server_pid" "$bare_pid" "$(head -1 "$pg_dir/data/postmaster.pid")" $$; do
        taskset -acp "$1" "$pid" >/dev/null
    done
}

select_from() { # NAME PORT PID CLIENTS[core] SECONDS
    run "select$4.$1" load --mode select --table bench.lookup --port "$2" --pid "$3" --tokens "$work/token" --rows "$rows" \
        --first-id $first_id --connections "${4%core}" --duration-ms $(($5 * 1000)) --expect '"row_count":1'
}

# alternate ROUND A B: so that neither always goes first.
alternate() {
    if [ $(($1 % 2)) -eq 1 ]; then
        $2
        $3
    else
        $3
        $2
    fi
}

say() { echo "$*" >&2; }

if want startup; then
    say "start-up: empty directory to first answer, $starts times"
    mkdir "$work/starts"
    run startup.kalamdb "$bin/kl_startup" --server "$server" --config "$work/server.toml" --dir "$work/starts" --runs "$starts" --idle-ms "$idle_ms"
fi

if want idle; then
    say "idle: $connections connections with one subscription each, $users users"
    start_server idle
    "$bin/kl_bench_setup" --port "$port" --root-token "$root_token" --users "$users" --tokens "$work/tokens-idle" --rows 0
    run idle.kalamdb "$bin/kl_live_bench" --mode idle --port "$port" --pid "$server_pid" --tokens "$work/tokens-idle" \
        --table bench.live --connections "$connections" --idle-ms "$idle_ms"
    stop_server idle
fi

sql_parts=()
for part in page bulk update delete group join; do
    if want $part; then
        sql_parts+=($part)
    fi
done

if want insert || want select || want live || [ ${#sql_parts[@]} -gt 0 ]; then
    say "setting up"
    start_server main
    "$bin/kl_bench_setup" --port "$port" --root-token "$root_token" --users 64 --tokens "$work/tokens" --rows "$rows"
    head -1 "$work/tokens" >"$work/token"
    cp "$root_token" "$work/root-token"
    root_token=$work/root-token
    chmod 711 "$work"
fi
if want insert || want select || [ ${#sql_parts[@]} -gt 0 ]; then
    start_postgres
fi
if want insert || want live; then
    start_redis
fi

if want insert; then
    for clients in 64 1; do
        time=$([ $clients = 1 ] && echo $single_seconds || echo $seconds)
        say "INSERT of one row, $clients client(s)"
        kalamdb() { insert_kalamdb "$clients" "$time"; }
        peers() {
            run "insert$clients.postgresql" measure_postgres insert "$clients" -T "$time"
            run "insert$clients.redis-set" measure_redis set "$clients" 1
            run "insert$clients.redis-xadd" measure_redis xadd "$clients" 1
        }
        for round in $(seq "$rounds"); do
            alternate "$round" kalamdb peers
        done
    done
fi

if want select; then
    # The bare server answers with exactly what KalamDB answers.
    load --mode select --table bench.lookup --port "$port" --tokens "$work/token" --rows "$rows" --first-id $first_id --connections 1 \
        --duration-ms 100 --save-response "$work/answer" >/dev/null
    "$bin/bare_h2o" --answer "$work/answer" --loops "$cores" >"$work/bare" &
    bare_pid=$!
    for _ in $(seq 100); do
        [ -s "$work/bare" ] && break
        sleep 0.05
    done
    bare_port=$(sed 's/port=//' "$work/bare")
    all_cores=$(taskset -cp $$ | sed 's/.*: //')
    # "1core": one client, and every process on one core, since waking an idle core may cost more than the work.
    for kind in 64 1 1core; do
        clients=${kind%core}
        time=$([ "$clients" = 1 ] && echo "$single_seconds" || echo "$seconds")
        say "SELECT by primary key, $clients client(s)$([ "$kind" = "$clients" ] || echo ', everything on one core')"
        [ "$kind" = "$clients" ] || place 0
        kalamdb() { select_from kalamdb "$port" "$server_pid" "$kind" "$time"; }
        peers() {
            select_from bare-h2o "$bare_port" "$bare_pid" "$kind" "$time"
            run "select$kind.postgresql" measure_postgres select "$clients" -T "$time"
        }
        for round in $(seq "$rounds"); do
            alternate "$round" kalamdb peers
        done
    done
    place "$all_cores"
    stop_process "$bare_pid"
    bare_pid=
fi

if want live; then
    say "live: write to event"
    kalamdb() {
        run live.kalamdb "$bin/kl_live_bench" --mode live --port "$port" --tokens "$work/token" --table bench.live --events "$events"
    }
    peers() {
        run live.redis-pubsub "$bin/redis_live" --socket "$redis_socket" --mode pubsub --events "$events"
        run live.redis-stream "$bin/redis_live" --socket "$redis_socket" --mode stream --events "$events"
    }
    for round in $(seq "$rounds"); do
        alternate "$round" kalamdb peers
    done
fi

if want page || want join; then
    say "setting up $feed_users partitions of $feed_rows rows"
    set_up_feed
fi
for part in ${sql_parts[@]+"${sql_parts[@]}"}; do
    say "$part"
    "set_up_$part"
    for round in $(seq "$rounds"); do
        "measure_$part" "$round"
    done
    if [ "$part" = page ]; then
        finish_page
    fi
done

if want bind; then
    say "the cost of a repeated statement before it runs"
    measure_bind
fi

missed=0
awk -v facts="$facts" -v json="$root/build/bench/results.json" -v rounds="$rounds" -v cores="$cores" -v row_count="$rows" -v busy="$busy" -v users="$users" \
    -v cpu="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" -v kernel="$(uname -r)" -v when="$(date -u +%FT%TZ)" \
    -v fs="$(stat -f -c %T "$work")" -v version="$("$server" --version)" \
    -v commit="$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)" \
    -v postgresql="$("${pg_bin:-/nonexistent}/postgres" --version 2>/dev/null || true)" \
    -v redis="$(redis-server --version 2>/dev/null | sed 's/.*v=\([^ ]*\).*/\1/')" -f "$here/report.awk" "$samples" || missed=$?
[ $missed -eq 0 ] || [ $missed -eq 3 ] || exit $missed
if [ $check -eq 1 ] && [ $missed -eq 3 ]; then
    exit 3
fi
