# PostgreSQL and Redis as peers: private instances below $work, reached over Unix sockets, stopped by stop_peers.
# Sourced by run.sh, which sets work, cores and rows.

content='The quick brown fox jumps over the lazy dog while the database keeps every word it was told.'

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

start_postgres() {
    pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
    pg_dir=$work/postgres
    pg_socket=$(mktemp -d /tmp/klbench.XXXXXX) # short: a socket's path has little room
    mkdir "$pg_dir"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$pg_dir" "$pg_socket"
        chmod 711 "$work"
    fi
    if ! (cd / && as_postgres test -w "$pg_dir"); then
        echo "PostgreSQL's user cannot reach $pg_dir: open the folders above it (chmod o+x)" >&2
        exit 1
    fi
    (cd "$pg_dir" && as_postgres "$pg_bin/initdb" -D "$pg_dir/data" -A trust -U postgres -E UTF8 --locale=C >"$work/postgres.log")
    # Everything else stays as initdb leaves it; fsync and synchronous_commit are named because they are the point.
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$pg_socket'" 'fsync = on' 'synchronous_commit = on' |
        as_postgres tee -a "$pg_dir/data/postgresql.conf" >/dev/null
    (cd "$pg_dir" && as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" -l "$pg_dir/log" -w -s start)
    export PGHOST=$pg_socket PGUSER=postgres PGDATABASE=postgres
    local columns='id bigint PRIMARY KEY, conversation_id bigint NOT NULL, role_id text NOT NULL, content text NOT NULL,
        created_at timestamp DEFAULT now()'
    "$pg_bin/psql" -qX -v ON_ERROR_STOP=1 <<SQL
CREATE TABLE messages ($columns);
CREATE TABLE lookup ($columns);
INSERT INTO lookup (id, conversation_id, role_id, content)
    SELECT $first_id + n, n % 100, 'user', '$content' FROM generate_series(0, $rows - 1) n;
VACUUM ANALYZE lookup;
CHECKPOINT;
SQL
    cat >"$work/insert.sql" <<SQL
\\set n :n + 1
\\set id :base + :client_id * 1000000000 + :n
INSERT INTO messages (id, conversation_id, role_id, content) VALUES (:id, :client_id, 'user', '$content');
SQL
    cat >"$work/select.sql" <<SQL
\\set id random($first_id, $first_id + $rows - 1)
SELECT id, conversation_id, role_id, content, created_at FROM lookup WHERE id = :id;
SQL
}

# measure_postgres SCRIPT CLIENTS -T SECONDS|-t TRANSACTIONS [ARGS...]: one line of name=value.
measure_postgres() {
    local script=$1 threads=$(($2 < cores ? $2 : cores)) clients=$2 text
    shift 2
    rm -f "$work"/pglog*
    text=$("$pg_bin/pgbench" -n -M prepared -c "$clients" -j "$threads" -f "$work/$script.sql" -D n=0 \
        -D base=$((1000000000000000000 + $(date +%s) * 100000000000)) -l --log-prefix="$work/pglog" "$@" 2>"$work/pgbench.err") || {
        head -5 "$work/pgbench.err" >&2
        return 1
    }
    if ! grep -q 'number of failed transactions: 0 ' <<<"$text"; then
        echo "pgbench had failed transactions: $text" >&2
        return 1
    fi
    # The third column of a log line is the latency in microseconds.
    cat "$work"/pglog* | awk '{ print $3 }' | sort -n | awk -v tps="$(awk '/^tps = / { print $3 }' <<<"$text")" '
        { v[NR] = $1 }
        END {
            if (NR == 0) exit 1
            i = int(NR * 0.5); j = int(NR * 0.99)
            printf "throughput=%.2f p50_us=%d p99_us=%d max_us=%d answered=%d errors=0\n", tps, v[i < 1 ? 1 : i], v[j < 1 ? 1 : j], v[NR], NR
        }'
}

start_redis() {
    redis_socket=$work/redis.sock
    [ ${#redis_socket} -lt 100 ] || redis_socket=$(mktemp -u /tmp/klbench.XXXXXX.sock)
    mkdir "$work/redis"
    redis-server --port 0 --unixsocket "$redis_socket" --dir "$work/redis" --appendonly yes --appendfsync always --save '' \
        >"$work/redis.log" 2>&1 &
    redis_pid=$!
    for _ in $(seq 100); do
        [ "$(redis-cli -s "$redis_socket" ping 2>/dev/null)" = PONG ] && return
        sleep 0.05
    done
    echo "Redis did not start" >&2
    exit 1
}

redis_csv() { # CLIENTS REQUESTS COMMAND...
    local clients=$1 requests=$2
    shift 2
    redis-benchmark -s "$redis_socket" -c "$clients" -n "$requests" -r 1000000000 --csv "$@" | tail -1 | tr -d '"'
}

# measure_redis set|xadd CLIENTS SECONDS: one line of name=value. redis-benchmark counts requests, so a short run says how
# many fill the time.
measure_redis() {
    local command=(SET key:__rand_int__ "$content 0123456789 0123456789 0123") rate line
    [ "$1" = xadd ] && command=(XADD bench '*' content "$content 0123456789 0123456789 0123")
    rate=$(redis_csv "$2" $((200 * $2)) "${command[@]}" | awk -F, '{ print int($(NF-6)) }')
    line=$(redis_csv "$2" $((rate * $3)) "${command[@]}")
    # From the end, since a command's text may hold commas: rps, average, minimum, p50, p95, p99, maximum.
    awk -F, '{ printf "throughput=%.2f p50_us=%.1f p99_us=%.1f max_us=%.1f\n", $(NF-6), $(NF-3) * 1000, $(NF-1) * 1000, $NF * 1000 }' <<<"$line"
}

stop_peers() {
    if [ -n "${pg_dir:-}" ] && [ -f "$pg_dir/data/postmaster.pid" ]; then
        (cd "$pg_dir" && as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" -m immediate -s stop) || true
    fi
    [ -n "${pg_socket:-}" ] && rm -rf "$pg_socket"
    if [ -n "${redis_pid:-}" ]; then
        kill "$redis_pid" 2>/dev/null || true
        wait "$redis_pid" 2>/dev/null || true
        rm -f "$redis_socket"
    fi
}
