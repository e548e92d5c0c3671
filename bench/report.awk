# Medians of run.sh's samples ("measurement name value" lines) as a table with the targets, and as JSON. Ends with 3 when a
# target is missed.

{ n[$1, $2]++; sample[$1, $2, n[$1, $2]] = $3 + 0
  if (!(($1, $2) in seen)) { seen[$1, $2] = 1; if (!($1 in names)) { order[++measurements] = $1 } names[$1] = names[$1] " " $2 } }

function median(m, k,    i, j, t, c, v) {
    c = n[m, k]
    for (i = 1; i <= c; i++) v[i] = sample[m, k, i]
    for (i = 2; i <= c; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return c % 2 ? v[(c + 1) / 2] : (v[c / 2] + v[c / 2 + 1]) / 2
}

function has(m) { return m in names }
function number(x) { return x >= 1000 ? sprintf("%d", x + 0.5) : x >= 100 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : sprintf("%.2f", x) }

function speed(title, m) {
    if (has(m)) printf "  %-34s %10s/s   p50 %8s us   p99 %8s us\n", title, number(median(m, "throughput")), number(median(m, "p50_us")), number(median(m, "p99_us"))
}
function latency(title, m) {
    if (has(m)) printf "  %-34s              p50 %8s us   p99 %8s us\n", title, number(median(m, "p50_us")), number(median(m, "p99_us"))
}

# ratio(a, b, key): of the medians of two measurements.
function ratio(a, b, key) { return median(a, key) / median(b, key) }
function rows(title, m, each) {
    if (has(m)) printf "  %-34s %10s rows/s   p50 %8s us a statement\n", title, number(median(m, "throughput") * each), number(median(m, "p50_us"))
}

# target(title, value, direction, limit, unit): direction is ">=" or "<=".
function target(title, value, direction, limit, unit,    met) {
    met = direction == ">=" ? value >= limit : value <= limit
    missed += !met
    printf "  %-48s %9s %-4s %s %-6s %s\n", title, number(value), unit, direction, limit, met ? "met" : "MISSED"
    targets = targets sprintf("%s\n    {\"target\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"must_be\": \"%s %s\", \"met\": %s}",
        targets ? "," : "", title, value, unit, direction, limit, met ? "true" : "false")
}

function escape(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return s }

function table(    c) {
    printf "\n%s (%s), %s, %d cores, Linux %s, data on %s\n", version, commit, cpu, cores, kernel, fs
    print "Durability: KalamDB storage.durability = sync; PostgreSQL fsync = on, synchronous_commit = on; Redis appendfsync always."
    print "The load generator runs on the same machine and shares its cores. KalamDB is spoken to over TCP, PostgreSQL and Redis over"
    printf "Unix sockets. Medians of %d round(s); before them other work kept the machine %d %% busy.\n", rounds, busy
    for (c = 64; c >= 1; c -= 63) {
        if (!has("insert" c ".kalamdb")) continue
        printf "\nINSERT of one row of 120 bytes, %d client%s\n", c, (c > 1 ? "s, a user each" : "")
        speed("KalamDB, SQL text over HTTP", "insert" c ".kalamdb")
        speed("PostgreSQL, prepared", "insert" c ".postgresql")
        speed("Redis SET", "insert" c ".redis-set")
        speed("Redis XADD", "insert" c ".redis-xadd")
    }
    split("64 1 1core", kinds, " ")
    split("64 clients;1 client;1 client, client and server on one core", said, ";")
    for (c = 1; c <= 3; c++) {
        m = "select" kinds[c]
        if (!has(m ".kalamdb")) continue
        printf "\nSELECT by primary key, %d rows, %s\n", row_count, said[c]
        speed("KalamDB, SQL text over HTTP", m ".kalamdb")
        speed("bare h2o, the same answer", m ".bare-h2o")
        speed("PostgreSQL, prepared", m ".postgresql")
    }
    sql_table()
    if (has("live.kalamdb")) {
        print "\nFrom a write to the event at a subscriber, one of each"
        latency("KalamDB, on disk before the event", "live.kalamdb")
        latency("Redis stream, on disk before too", "live.redis-stream")
        latency("Redis pub/sub, not stored", "live.redis-pubsub")
    }
    if (has("startup.kalamdb")) {
        printf "\nAlone: first answer after %s ms (slowest %s), %s MB when idle, %s %% processor when idle, stops in %s ms\n",
            number(median("startup.kalamdb", "first_answer_ms")), number(median("startup.kalamdb", "first_answer_max_ms")),
            number(median("startup.kalamdb", "idle_rss_kib") / 1024), number(median("startup.kalamdb", "idle_cpu_percent")),
            number(median("startup.kalamdb", "stop_ms"))
    }
    if (has("idle.kalamdb")) {
        m = "idle.kalamdb"
        printf "\n%d idle subscribed connections of %d users: opened in %s ms, %s MB to %s MB, %s %% processor for pings only\n",
            median(m, "connections"), median(m, "users"), number(median(m, "open_ms")), number(median(m, "rss_before_kib") / 1024),
            number(median(m, "rss_after_kib") / 1024), number(median(m, "idle_cpu_percent"))
    }
}

function sql_table() {
    if (has("page.kalamdb")) {
        print "\n50 newest of the 10,000 rows of one of 50 users, WHERE on a column without an index, 16 clients (a user each)"
        speed("KalamDB, SQL text over HTTP", "page.kalamdb")
        speed("PostgreSQL, index on the user", "page.postgresql")
        speed("KalamDB, index on that column", "page-indexed.kalamdb")
        speed("KalamDB, index on it and the order", "page-ordered.kalamdb")
    }
    if (has("bulk.kalamdb")) {
        print "\nINSERT of 1,000 rows of 120 bytes in one statement, 8 clients (a user each)"
        rows("KalamDB, SQL text over HTTP", "bulk.kalamdb", 1000)
        rows("PostgreSQL, SQL text", "bulk.postgresql", 1000)
    }
    if (has("update.kalamdb")) {
        print "\nUPDATE of one row by key, 64 clients (a user each)"
        speed("KalamDB, SQL text over HTTP", "update.kalamdb")
        speed("PostgreSQL, prepared", "update.postgresql")
    }
    if (has("delete.kalamdb")) {
        print "\nDELETE of one row by key, 64 clients (a user each)"
        speed("KalamDB, SQL text over HTTP", "delete.kalamdb")
        speed("PostgreSQL, prepared", "delete.postgresql")
    }
    if (has("group.kalamdb")) {
        printf "\ncount, sum and avg GROUP BY a text of 1,000 values over %d hot rows of a SHARED table, 1 client\n", facts
        speed("KalamDB over HTTP, 1 thread", "group.kalamdb")
        speed("DuckDB, own table, 1 thread", "group.duckdb")
        speed("DuckDB, own table, 2 threads", "group.duckdb-2")
        speed("PostgreSQL, prepared", "group.postgresql")
    }
    if (has("join.kalamdb")) {
        print "\n10,000 rows of a user JOIN 1,000 shared rows JOIN 200 shared rows, grouped, 1 client"
        speed("KalamDB over HTTP", "join.kalamdb")
        speed("PostgreSQL, prepared", "join.postgresql")
    }
    if (has("bind.kalamdb")) {
        m = "bind.kalamdb"
        printf "\nA repeated statement before it runs (scan, look-up, bind): SELECT %.2f us, INSERT %.2f us, UPDATE %.2f us\n",
            median(m, "select_us"), median(m, "insert_us"), median(m, "update_us")
    }
}

function sql_targets() {
    if (has("page.kalamdb")) target("page of 10,000, no index: of PostgreSQL's", ratio("page.kalamdb", "page.postgresql", "throughput"), ">=", 1, "x")
    if (has("page-indexed.kalamdb")) target("page of 10,000, index: of without", ratio("page-indexed.kalamdb", "page.kalamdb", "throughput"), ">=", 5, "x")
    if (has("bulk.kalamdb")) target("INSERT of 1,000 rows: thousand rows/s", median("bulk.kalamdb", "throughput"), ">=", 300, "k/s")
    if (has("update.kalamdb")) target("UPDATE, 64 clients: of PostgreSQL's throughput", ratio("update.kalamdb", "update.postgresql", "throughput"), ">=", 1, "x")
    if (has("delete.kalamdb")) target("DELETE, 64 clients: of PostgreSQL's throughput", ratio("delete.kalamdb", "delete.postgresql", "throughput"), ">=", 1, "x")
    if (has("group.kalamdb")) target("GROUP BY: of DuckDB's time, 1 thread each", ratio("group.kalamdb", "group.duckdb", "p50_us"), "<=", 3, "x")
    if (has("join.kalamdb")) target("join of three: of PostgreSQL's time", ratio("join.kalamdb", "join.postgresql", "p50_us"), "<=", 1, "x")
    if (has("bind.kalamdb")) target("a repeated statement before it runs", median("bind.kalamdb", "most_us"), "<=", 2, "us")
}

function targets_table() {
    print "\nTargets"
    if (has("insert64.kalamdb")) target("INSERT, 64 clients: of PostgreSQL's throughput", median("insert64.kalamdb", "throughput") / median("insert64.postgresql", "throughput"), ">=", 1.3, "x")
    if (has("insert1.kalamdb")) target("INSERT, 1 client: of PostgreSQL's p50", median("insert1.kalamdb", "p50_us") / median("insert1.postgresql", "p50_us"), "<=", 2, "x")
    if (has("select64.kalamdb")) target("SELECT, 64 clients: of bare h2o's throughput", median("select64.kalamdb", "throughput") / median("select64.bare-h2o", "throughput"), ">=", 0.75, "x")
    if (has("select1core.kalamdb")) target("SELECT, 1 client, one core: of PostgreSQL's p50", ratio("select1core.kalamdb", "select1core.postgresql", "p50_us"), "<=", 2, "x")
    sql_targets()
    if (has("live.kalamdb")) {
        target("write to event, p50", median("live.kalamdb", "p50_us") / 1000, "<=", 0.4, "ms")
        target("write to event, p99", median("live.kalamdb", "p99_us") / 1000, "<=", 5, "ms")
    }
    if (has("startup.kalamdb")) {
        target("memory when idle", median("startup.kalamdb", "idle_rss_kib") / 1024, "<=", 25, "MB")
        target("empty directory to first answer", median("startup.kalamdb", "first_answer_ms"), "<=", 150, "ms")
    }
    if (has("idle.kalamdb")) target("memory of an idle subscribed connection", median("idle.kalamdb", "bytes_per_connection") / 1024, "<=", 4, "KB")
}

function write_json(    i, k, c, key) {
    printf "{\n  \"when\": \"%s\",\n  \"version\": \"%s\",\n  \"commit\": \"%s\",\n", when, escape(version), commit > json
    printf "  \"machine\": {\"cpu\": \"%s\", \"cores\": %d, \"kernel\": \"%s\", \"filesystem\": \"%s\"},\n", escape(cpu), cores, kernel, fs > json
    printf "  \"peers\": {\"postgresql\": \"%s\", \"redis\": \"%s\"},\n", escape(postgresql), redis > json
    printf "  \"durability\": \"sync\",\n  \"client_shares_machine\": true,\n  \"busy_percent_before\": %d,\n  \"rounds\": %d,\n  \"measurements\": {", busy, rounds > json
    for (i = 1; i <= measurements; i++) {
        printf("%s\n    \"%s\": {", (i > 1 ? "," : ""), order[i]) > json
        c = split(names[order[i]], key, " ")
        for (k = 1; k <= c; k++) printf("%s\"%s\": %.3f", (k > 1 ? ", " : ""), key[k], median(order[i], key[k])) > json
        printf "}" > json
    }
    printf "\n  },\n  \"targets\": [%s\n  ]\n}\n", targets > json
    close(json)
}

END {
    table()
    targets_table()
    write_json()
    printf "\n%s; details in %s\n", missed ? missed " target(s) missed" : "all targets met", json
    exit missed ? 3 : 0
}
