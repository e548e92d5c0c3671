# The parts of the benchmark that ask more of SQL than one row: page, bulk, update, delete, group, join, bind.
# Sourced by run.sh after peers.sh; set_up_NAME runs once, measure_NAME ROUND each round.

feed_users=50 feed_rows=10000 bulk_clients=8
page_sql="SELECT id, kind, content, created_at FROM %s WHERE %s kind = 'kind-%s' ORDER BY created_at DESC LIMIT 50"
group_sql='SELECT kind, count(*), sum(n), avg(n) FROM %s GROUP BY kind ORDER BY kind'
join_sql='SELECT l.name, count(*) AS n, max(m.created_at) AS latest FROM %s m JOIN %s c ON c.id = m.conversation_id JOIN %s l ON l.id = c.label_id %s GROUP BY l.name ORDER BY n DESC, l.name LIMIT 20'
message_columns='(id BIGINT PRIMARY KEY, conversation_id BIGINT NOT NULL, role_id TEXT NOT NULL, content TEXT NOT NULL, created_at TIMESTAMP DEFAULT NOW())'
message_names='(id, conversation_id, role_id, content)'

as_root() { # SQL: one statement
    "$bin/kl_load" --mode sql --port "$port" --tokens "$root_token" --connections 1 --requests 1 --sql "$1" >/dev/null
}

fill() { # TOKENS CLIENTS REQUESTS ROWS SQL ROW [ARGS...]: ROWS rows in each request of each client
    local tokens=$1 clients=$2 requests=$3 rows_each=$4 sql=$5 row=$6
    shift 6
    "$bin/kl_load" --mode sql --port "$port" --tokens "$tokens" --connections "$clients" --requests "$requests" --repeat "$rows_each" \
        --sql "$sql" --row "$row" "$@" >/dev/null
}

ask_kalamdb() { # NAME CLIENTS SECONDS EXPECT SQL [ARGS...]
    local name=$1 clients=$2 time=$3 expect=$4 sql=$5
    shift 5
    run "$name" load --mode sql --port "$port" --tokens "$work/tokens" --pid "$server_pid" --connections "$clients" \
        --duration-ms $((time * 1000)) --expect "$expect" --sql "$sql" "$@"
}

psql_run() { "$pg_bin/psql" -qX -v ON_ERROR_STOP=1; }

# ---- 10,000 rows in each of 50 partitions; conversations and labels that all share ----

set_up_feed() {
    as_root "CREATE TABLE bench.feed (id BIGINT PRIMARY KEY, conversation_id BIGINT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, created_at TIMESTAMP NOT NULL) WITH (TYPE = 'USER')"
    head -$feed_users "$work/tokens" >"$work/tokens-feed"
    fill "$work/tokens-feed" $feed_users $((feed_rows / 1000)) 1000 'INSERT INTO bench.feed (id, conversation_id, kind, content, created_at) VALUES' \
        "({n:6}, {r:4:1000:1999}, 'kind-{r:2:0:99}', '$content', '2026-01-01 10:00:00.{n:6}')" --first-id 100000
    psql_run <<SQL
CREATE TABLE feed (user_id int NOT NULL, id bigint NOT NULL, conversation_id bigint NOT NULL, kind text NOT NULL, content text NOT NULL,
    created_at timestamp NOT NULL);
INSERT INTO feed SELECT u, n, 1000 + floor(random() * 1000), 'kind-' || lpad(floor(random() * 100)::text, 2, '0'), '$content',
    timestamp '2026-01-01 10:00:00' + n * interval '1 microsecond'
    FROM generate_series(100000, 100000 + $feed_rows - 1) n, generate_series(0, $feed_users - 1) u;
CREATE INDEX ON feed (user_id);
VACUUM ANALYZE feed;
SQL
}

set_up_page() {
    # Of the hundred kinds twenty are asked for. pgbench has no text variables: it takes turns with twenty scripts.
    local k
    for k in $(seq -w 0 19); do
        # shellcheck disable=SC2059
        printf "$page_sql;\n" feed 'user_id = :client_id AND' "$k" >"$work/page-$k.sql"
    done
    page_scripts=()
    for k in $(seq -w 1 19); do
        page_scripts+=(-f "$work/page-$k.sql")
    done
    mv "$work/page-00.sql" "$work/page.sql"
}

ask_page() { # NAME
    local sql
    # shellcheck disable=SC2059
    sql=$(printf "$page_sql" bench.feed '' '{r:2:0:19}')
    ask_kalamdb "$1" 16 "$seconds" '"row_count":50' "$sql"
}

measure_page() {
    kalamdb() { ask_page page.kalamdb; }
    peers() { run page.postgresql measure_postgres page 16 -T "$seconds" "${page_scripts[@]}"; }
    alternate "$1" kalamdb peers
}

# An index is built in the background: waits until EXPLAIN says that it is used.
wait_for_index() { # NAME
    local sql
    # shellcheck disable=SC2059
    sql="EXPLAIN $(printf "$page_sql" bench.feed '' 07)"
    for _ in $(seq 300); do
        if "$bin/kl_load" --mode sql --port "$port" --tokens "$root_token" --connections 1 --requests 1 --sql "$sql" --expect "$1" \
            >/dev/null 2>&1; then
            return
        fi
        sleep 0.1
    done
    say "  the index $1 is not used after 30 seconds"
}

# After all rounds, since the indexes stay: one on the column of the WHERE, then one that has the order too.
finish_page() {
    local round
    if ! as_root 'CREATE INDEX feed_kind ON bench.feed (kind)' 2>"$work/index.err"; then
        say "  page-indexed: skipped, the server does not take CREATE INDEX: $(head -n 1 "$work/index.err" | cut -c 1-200)"
        return 0
    fi
    wait_for_index feed_kind
    for round in $(seq "$rounds"); do
        ask_page page-indexed.kalamdb
    done
    as_root 'CREATE INDEX feed_ordered ON bench.feed (kind, created_at)'
    wait_for_index feed_ordered
    for round in $(seq "$rounds"); do
        ask_page page-ordered.kalamdb
    done
}

set_up_join() {
    as_root "CREATE TABLE bench.conversations (id BIGINT PRIMARY KEY, label_id BIGINT NOT NULL, title TEXT NOT NULL) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')"
    as_root "CREATE TABLE bench.labels (id BIGINT PRIMARY KEY, name TEXT NOT NULL) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')"
    fill "$root_token" 1 1 1000 'INSERT INTO bench.conversations (id, label_id, title) VALUES' "({n:4}, {r:3:100:299}, 'conversation {n:4}')" --first-id 1000
    fill "$root_token" 1 1 200 'INSERT INTO bench.labels (id, name) VALUES' "({n:3}, 'label {n:3}')" --first-id 100
    psql_run <<SQL
CREATE TABLE conversations (id bigint PRIMARY KEY, label_id bigint NOT NULL, title text NOT NULL);
CREATE TABLE labels (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO conversations SELECT n, 100 + floor(random() * 200), 'conversation ' || n FROM generate_series(1000, 1999) n;
INSERT INTO labels SELECT n, 'label ' || n FROM generate_series(100, 299) n;
VACUUM ANALYZE conversations;
VACUUM ANALYZE labels;
SQL
    # shellcheck disable=SC2059
    printf "$join_sql;\n" feed conversations labels 'WHERE m.user_id = :client_id' >"$work/join.sql"
}

measure_join() {
    kalamdb() {
        local sql
        # shellcheck disable=SC2059
        sql=$(printf "$join_sql" bench.feed bench.conversations bench.labels '')
        ask_kalamdb join.kalamdb 1 "$single_seconds" '"row_count":20' "$sql"
    }
    peers() { run join.postgresql measure_postgres join 1 -T "$single_seconds"; }
    alternate "$1" kalamdb peers
}

# ---- many rows in one statement ----

set_up_bulk() {
    as_root "CREATE TABLE bench.bulk $message_columns WITH (TYPE = 'USER')"
    echo "CREATE TABLE bulk $message_columns;" | psql_run
    # One variable only: pgbench moves the rest of a text for each one that it replaces.
    {
        echo '\set n :n + 1'
        echo '\set b :base + :client_id * 1000000000 + :n * 1000'
        echo "INSERT INTO bulk $message_names SELECT :b + v.n, v.c, v.r, v.t FROM (VALUES "
        seq 0 999 | awk -v text="$content" '{ printf "%s(%d, %d, '\''user'\'', '\''%s'\'')", (NR > 1 ? ", " : ""), $1, 1000 + $1, text }'
        echo ') v (n, c, r, t);'
    } >"$work/bulk.sql"
}

measure_bulk() {
    kalamdb() {
        ask_kalamdb bulk.kalamdb $bulk_clients "$seconds" 'Inserted 1000 row' "INSERT INTO bench.bulk $message_names VALUES" \
            --row "({n:16}, {r:4:1000:1999}, 'user', '$content')" --repeat 1000 --first-id "$(date +%s)000000"
    }
    peers() { run bulk.postgresql measure_postgres bulk $bulk_clients -T "$seconds" -M simple; }
    alternate "$1" kalamdb peers
}

# ---- UPDATE and DELETE of one row by key; each client has rows of its own, 1,000 to update ----

set_up_update() {
    as_root "CREATE TABLE bench.mutable $message_columns WITH (TYPE = 'USER')"
    fill "$work/tokens" 64 1 1000 "INSERT INTO bench.mutable $message_names VALUES" "({n:6}, 1000, 'user', '$content')" --first-id 100000
    psql_run <<SQL
CREATE TABLE mutable $message_columns;
INSERT INTO mutable $message_names SELECT u * 1000000 + n, 1000, 'user', '$content'
    FROM generate_series(0, 63) u, generate_series(100000, 100999) n;
VACUUM ANALYZE mutable;
SQL
    cat >"$work/update.sql" <<SQL
\\set n :n + 1
\\set id :client_id * 1000000 + random(100000, 100999)
\\set value :base + :n
UPDATE mutable SET conversation_id = :value, content = '$content' WHERE id = :id;
SQL
}

measure_update() {
    # A time in microseconds grows faster than the rows, so that each update changes its row.
    kalamdb() {
        ask_kalamdb update.kalamdb 64 "$seconds" 'Updated 1 row' \
            "UPDATE bench.mutable SET conversation_id = {n:16}, content = '$content' WHERE id = {r:6:100000:100999}" --first-id "$(date +%s%6N)"
    }
    peers() { run update.postgresql measure_postgres update 64 -T "$seconds"; }
    alternate "$1" kalamdb peers
}

set_up_delete() {
    as_root "CREATE TABLE bench.doomed $message_columns WITH (TYPE = 'USER')"
    echo "CREATE TABLE doomed $message_columns;" | psql_run
    cat >"$work/delete.sql" <<SQL
\\set n :n + 1
\\set id :base + :client_id * 1000000 + :n
DELETE FROM doomed WHERE id = :id;
SQL
}

# Every row is deleted once, so rows and not time end a run.
measure_delete() {
    local each=$((700 * seconds))
    kalamdb() {
        local first=$(($(date +%s) * 1000000))
        fill "$work/tokens" 64 "$seconds" 700 "INSERT INTO bench.doomed $message_names VALUES" "({n:16}, 1000, 'user', '$content')" --first-id $first
        sleep 2 # what the rows above left to do in the background; PostgreSQL has its VACUUM and CHECKPOINT
        run delete.kalamdb load --mode sql --port "$port" --tokens "$work/tokens" --pid "$server_pid" --connections 64 --requests $each \
            --expect 'Deleted 1 row' --sql 'DELETE FROM bench.doomed WHERE id = {n:16}' --first-id $first
    }
    peers() {
        pg_base=$(($(date +%s) * 1000000000))
        psql_run <<SQL
INSERT INTO doomed $message_names SELECT $pg_base + u * 1000000 + n, 1000, 'user', '$content'
    FROM generate_series(0, 63) u, generate_series(1, $each) n;
VACUUM ANALYZE doomed;
CHECKPOINT;
SQL
        run delete.postgresql measure_postgres delete 64 -t $each -D base="$pg_base"
    }
    alternate "$1" kalamdb peers
}

# ---- GROUP BY over one large SHARED table ----

set_up_group() {
    as_root "CREATE TABLE bench.facts (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, n INT NOT NULL, amount DOUBLE NOT NULL) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')"
    fill "$root_token" 4 $((facts / 4000)) 1000 'INSERT INTO bench.facts (id, kind, n, amount) VALUES' \
        "({n:9}, 'kind-{r:3:0:999}', {r:5:0:99999}, {r:5:0:99999}.{r:2:0:99})" --first-id 100000000 --stride $((facts / 4))
    psql_run <<SQL
CREATE TABLE facts (id bigint PRIMARY KEY, kind text NOT NULL, n int NOT NULL, amount double precision NOT NULL);
INSERT INTO facts SELECT 100000000 + i, 'kind-' || lpad(floor(random() * 1000)::text, 3, '0'), floor(random() * 100000),
    floor(random() * 10000000) / 100 FROM generate_series(0, $facts - 1) i;
VACUUM ANALYZE facts;
SQL
    # shellcheck disable=SC2059
    printf "$group_sql;\n" facts >"$work/group.sql"
}

measure_group() {
    local sql
    # shellcheck disable=SC2059
    sql=$(printf "$group_sql" bench.facts)
    kalamdb() { ask_kalamdb group.kalamdb 1 "$single_seconds" '"row_count":1000' "$sql"; }
    peers() {
        run group.duckdb "$bin/duckdb_group" --rows $facts --kinds 1000 --threads 1 --runs 20 --sql "$sql"
        run group.duckdb-2 "$bin/duckdb_group" --rows $facts --kinds 1000 --threads 2 --runs 20 --sql "$sql"
        run group.postgresql measure_postgres group 1 -T "$single_seconds"
    }
    alternate "$1" kalamdb peers
}

# ---- what a repeated statement costs before it runs: the unit test of plans prints it ----

measure_bind() {
    local line
    line=$("$build/tests/unit/unit_sql_test_plan" 2>&1 | awk '
        / ns: / { t = $1 / 1000; name = tolower($3); printf "%s%s_us=%.3f", (n++ ? " " : ""), name, t; if (t > most) most = t }
        END { if (n) printf " most_us=%.3f\n", most; else exit 1 }')
    run bind.kalamdb echo "$line"
}
