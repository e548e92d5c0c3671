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

# target(title, value, direction, limit, unit): direction is ">=" or "<=".
function target(title, value, direction, limit, unit,    met) {
    met = direction == ">=" ? value >= limit : value <= limit
    missed += !met
    printf "  %-46s %9s %-4s %s %-6s %s\n", title, number(value), unit, direction, limit, met ? "met" : "MISSED"
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
    for (c = 64; c >= 1; c -= 63) {
        if (!has("select" c ".kalamdb")) continue
        printf "\nSELECT by primary key, %d rows, %d client%s\n", rows, c, (c > 1 ? "s" : "")
        speed("KalamDB, SQL text over HTTP", "select" c ".kalamdb")
        speed("bare h2o, the same answer", "select" c ".bare-h2o")
        speed("PostgreSQL, prepared", "select" c ".postgresql")
    }
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

function targets_table() {
    print "\nTargets"
    if (has("insert64.kalamdb")) target("INSERT, 64 clients: of PostgreSQL's throughput", median("insert64.kalamdb", "throughput") / median("insert64.postgresql", "throughput"), ">=", 1.3, "x")
    if (has("insert1.kalamdb")) target("INSERT, 1 client: of PostgreSQL's p50", median("insert1.kalamdb", "p50_us") / median("insert1.postgresql", "p50_us"), "<=", 2, "x")
    if (has("select64.kalamdb")) target("SELECT, 64 clients: of bare h2o's throughput", median("select64.kalamdb", "throughput") / median("select64.bare-h2o", "throughput"), ">=", 0.5, "x")
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
