// Two users, the same tables, the same statements: nobody ever sees a row of the other, whatever the statement is made of, and no
// statement reaches files, the environment or the process. Fixed attempts first, then random ones (seed printed).
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { scaled, seeded, sleep, type Random } from './lib/random.js';
import { Server } from './lib/server.js';
import { Socket } from './lib/ws.js';

const marks = { alice: 'SECRET-OF-ALICE', bob: 'SECRET-OF-BOB', file: 'SECRET-IN-A-FILE', env: 'SECRET-IN-THE-ENVIRONMENT' };
let server: Server;
let root: Client;
let alice: Client;
let bob: Client;
let csv: string;
before(async () => {
  server = await Server.start({ env: { SECRET_VARIABLE: marks.env } });
  csv = join(server.dir, 'secret.csv');
  writeFileSync(csv, `a,b\n1,${marks.file}\n`);
  writeFileSync(join(server.dir, 'secret.json'), `[{"a":"${marks.file}"}]`);
  root = server.root();
  await root.message('CREATE NAMESPACE iso');
  await root.message("CREATE TABLE iso.t (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='USER')");
  await root.message("CREATE TABLE iso.nk (id BIGINT, v TEXT, n INT) WITH (TYPE='USER')");
  await root.message("CREATE TABLE iso.s (id BIGINT, v TEXT, n INT) WITH (TYPE='STREAM', TTL_SECONDS=3600)");
  await root.message("CREATE TABLE iso.priv (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='SHARED')");
  await root.message(`INSERT INTO iso.priv VALUES (1, '${marks.alice} ${marks.bob}', 1)`);
  alice = await server.createUser('alice');
  bob = await server.createUser('bob');
  for (const who of [alice, bob]) {
    const mark = marks[who.user as 'alice'];
    for (const t of ['t', 'nk', 's']) {
      // the same keys in both partitions
      await who.ok(`INSERT INTO iso.${t} VALUES ${Array.from({ length: 20 }, (_, i) => `(${i}, '${mark} ${i}', ${i % 5})`).join(', ')}`);
    }
  }
});
after(async () => {
  await server.stop();
});

const others = (who: Client): string[] => Object.entries(marks).filter(([name]) => name !== who.user).map(([, mark]) => mark);
async function attempt(who: Client, sql: string, params?: unknown[]): Promise<{ ok: boolean; code?: string }> {
  const reply = await who.sql(sql, params);
  const text = JSON.stringify(reply.results) + JSON.stringify(reply.error ?? '').replaceAll(JSON.stringify(sql).slice(1, -1), '');
  for (const mark of others(who)) {
    // an error may quote what the caller wrote
    if (text.includes(mark) && !sql.includes(mark)) {
      assert.fail(`${who.user} sees ${mark}: ${text.slice(0, 600)}\nstatement: ${sql}`);
    }
  }
  assert.ok(reply.http < 500, `${reply.http} ${JSON.stringify(reply.error)}\nstatement: ${sql}`);
  assert.ok(server.alive(), `the server has ended\nstatement: ${sql}\n${server.log()}`);
  return { ok: reply.status === 'success', code: reply.error?.code };
}

describe('isolation', { concurrency: false }, () => {
  test('every way to read a table', async () => {
    const statements = [
      'SELECT * FROM iso.t', 'SELECT * FROM iso.t WHERE TRUE OR FALSE', 'SELECT * FROM iso.t x, iso.t y', 'SELECT * FROM iso.t JOIN iso.nk USING (id)', 'SELECT * FROM iso.t FULL JOIN iso.s USING (id)',
      'SELECT * FROM iso.t WHERE id IN (SELECT id FROM iso.nk)', 'SELECT (SELECT MAX(v) FROM iso.t)', 'WITH q AS (SELECT * FROM iso.t) SELECT * FROM q', 'WITH RECURSIVE q AS (SELECT id, v FROM iso.t WHERE id = 0 UNION ALL SELECT t.id, t.v FROM iso.t t JOIN q ON t.id = q.id + 1) SELECT * FROM q',
      'SELECT v FROM iso.t UNION ALL SELECT v FROM iso.nk UNION SELECT v FROM iso.s', 'SELECT v FROM iso.t INTERSECT SELECT v FROM iso.t', 'SELECT string_agg(v, \',\') FROM iso.t', 'SELECT DISTINCT ON (n) * FROM iso.t',
      'SELECT *, ROW_NUMBER() OVER (ORDER BY id) FROM iso.t', 'SELECT * FROM "iso"."t"', 'SELECT * FROM ISO.T', 'SELECT * FROM kalam.iso.t', 'TABLE iso.t', 'SELECT * FROM LATERAL (SELECT * FROM iso.t) q', 'SELECT * FROM iso.t TABLESAMPLE SYSTEM (100)',
      "SELECT * FROM iso.t WHERE v LIKE '%SECRET%'", 'SELECT * FROM iso.t WHERE _deleted OR NOT _deleted', 'SELECT * FROM iso.t WHERE _seq > 0', 'SELECT * FROM iso.t ORDER BY v DESC LIMIT 100', 'SELECT * FROM iso.t GROUP BY id, v, n, _seq, _deleted', 'VALUES ((SELECT v FROM iso.t LIMIT 1))',
      'SELECT * FROM iso.t WHERE id = 3', 'SELECT * FROM iso.t WHERE id = 3 OR id = 4', 'SELECT v FROM iso.s', 'SELECT v FROM iso.nk WHERE n = 1 ORDER BY id', 'SELECT CASE WHEN EXISTS (SELECT 1 FROM iso.t) THEN (SELECT v FROM iso.t LIMIT 1) END',
    ];
    for (const who of [alice, bob]) {
      for (const sql of statements) {
        await attempt(who, sql);
      }
      // these have to work
      for (const sql of ['SELECT * FROM iso.t', 'SELECT * FROM iso.t JOIN iso.nk USING (id)', 'WITH q AS (SELECT * FROM iso.t) SELECT * FROM q', 'SELECT v FROM iso.t UNION ALL SELECT v FROM iso.nk UNION SELECT v FROM iso.s']) {
        const rows = await who.rows(sql);
        assert.ok(rows.length >= 20, sql);
        assert.ok(JSON.stringify(rows).includes(marks[who.user as 'alice']), sql);
      }
    }
  });

  test('writes touch only the own partition', async () => {
    await alice.ok("UPDATE iso.t SET n = 77 WHERE TRUE");
    await alice.ok('UPDATE iso.nk SET n = 77 WHERE id >= 0');
    await alice.ok('DELETE FROM iso.s WHERE TRUE');
    await alice.ok('DELETE FROM iso.t WHERE id >= 10');
    assert.equal(await bob.value('SELECT COUNT(*) FROM iso.t WHERE n < 5'), '20');
    assert.equal(await bob.value('SELECT COUNT(*) FROM iso.nk WHERE n < 5'), '20');
    assert.equal(await bob.value('SELECT COUNT(*) FROM iso.s'), '20');
    await attempt(alice, 'INSERT INTO iso.t SELECT id + 1000, v, n FROM iso.t');
    assert.equal(await bob.value('SELECT COUNT(*) FROM iso.t'), '20');
    await bob.fail('SELECT * FROM iso.priv', 'PERMISSION_DENIED');
    // nor does an administrator see them without saying so
    assert.deepEqual(await root.rows('SELECT * FROM iso.t'), []);
    assert.equal(await root.value("EXECUTE AS USER 'bob' (SELECT COUNT(*) FROM iso.t)"), '20');
  });

  test('files, environment, process, engine internals', async () => {
    const functions = [
      `read_csv('${csv}')`, `read_csv_auto('${csv}')`, `read_text('${csv}')`, `read_blob('${csv}')`, `read_json('${server.dir}/secret.json')`, `read_json_auto('${server.dir}/secret.json')`, `read_ndjson('${csv}')`, `read_ndjson_objects('${csv}')`,
      `read_parquet('${server.dir}/*')`, `parquet_scan('${server.dir}/*')`, `parquet_metadata('${csv}')`, `parquet_schema('${csv}')`, `sniff_csv('${csv}')`, `glob('${server.dir}/*')`, `glob('/etc/*')`, "read_text('/proc/self/environ')", "read_text('/etc/passwd')",
      'duckdb_settings()', 'duckdb_tables()', 'duckdb_functions()', 'duckdb_databases()', 'duckdb_secrets()', 'duckdb_extensions()', 'duckdb_memory()', 'duckdb_temporary_files()', 'duckdb_views()', 'duckdb_columns()', 'duckdb_logs()', 'pragma_version()', 'pragma_database_size()',
      "pragma_table_info('t')", 'pragma_platform()', 'kl_scan_1()', 'kl_scan_0()', 'kl_scan_2()', "kl_scan('iso','t')", 'seq_scan(1)', "query('SELECT 1')", "query_table('t')", 'which_secret(1, 2)', 'test_all_types()', 'repeat_row(1)', 'summary(1)', "arrow_scan(1, 2, 3)", "sqlite_scan('a','b')",
      "postgres_scan('a','b','c')", "iceberg_scan('a')", "delta_scan('a')", "shell_add_schema('a')", 'checkpoint()', 'force_checkpoint()', "pg_read_file('/etc/passwd')", "pg_ls_dir('/')", "load_aws_credentials()", 'pg_timezone_names()', 'icu_calendar_names()',
    ];
    for (const f of functions) {
      for (const sql of [`SELECT * FROM ${f}`, `SELECT ${f}`, `SELECT * FROM iso.t, ${f}`, `SELECT * FROM iso.t WHERE EXISTS (SELECT * FROM ${f})`]) {
        const r = await attempt(alice, sql);
        if (/^SELECT \* FROM [a-z]/.test(sql) && r.ok) {
          assert.fail(`runs: ${sql}`);
        }
        const admin = await attempt(root, sql);
        assert.ok(!admin.ok || !/read_|glob|duckdb_|kl_scan|parquet|pragma|sniff/.test(f), `root may: ${sql}`);
      }
    }
    for (const sql of [
      `SELECT getenv('SECRET_VARIABLE')`, `SELECT getvariable('x')`, "SELECT current_setting('temp_directory')", "SELECT current_setting('server_version')", "SELECT set_config('a','b',false)", 'SELECT version()', 'SELECT current_database()', 'SELECT pg_sleep(1)', 'SELECT pg_backend_pid()',
      "SELECT lo_import('/etc/passwd')", 'SELECT txid_current()', "SELECT nextval('s')", "SELECT in_search_path('a','b')", 'SELECT current_schemas(true)', "SELECT write_log('x')", "SELECT error('x')", "SELECT json_execute_serialized_sql('{}')", "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    ]) {
      await attempt(alice, sql);
    }
    for (const sql of ["SELECT getenv('SECRET_VARIABLE')", "SELECT current_setting('temp_directory')"]) {
      assert.equal((await attempt(alice, sql)).ok, false, sql);
    }
    for (const from of [`'${csv}'`, `"${csv}"`, `"${csv}" x`, "'/etc/passwd'", '"/etc/passwd"', `"${server.dir}/secret.json"`, '"*.parquet"', 'pg_catalog.pg_class', 'pg_class', 'sqlite_master', 'duckdb_tables', 'main.t', 'temp.t', 'memory.main.t', '"kl_scan_1"']) {
      const r = await attempt(alice, `SELECT * FROM ${from}`);
      assert.equal(r.ok, false, `SELECT * FROM ${from}`);
    }
    for (const sql of [
      `COPY iso.t TO '${server.dir}/out.csv'`, `COPY iso.t FROM '${csv}'`, `COPY (SELECT 1) TO '${server.dir}/o'`, "ATTACH '/tmp/x.db'", 'INSTALL httpfs', 'LOAD httpfs', 'PRAGMA version', "SET memory_limit = '1GB'", 'CALL pragma_version()', "EXPORT DATABASE '/tmp/x'", 'CHECKPOINT', 'DO $$ BEGIN END $$',
      'CREATE FUNCTION f() RETURNS INT AS $$ SELECT 1 $$ LANGUAGE sql', 'CREATE MACRO m() AS 1', "CREATE SECRET s (TYPE S3)", 'LISTEN x', "LOCK TABLE iso.t", 'PREPARE p AS SELECT 1', 'EXECUTE p', 'DECLARE c CURSOR FOR SELECT 1', 'DISCARD ALL', 'RESET ALL', 'SHOW ALL', 'EXPLAIN ANALYZE SELECT * FROM iso.t',
      'SELECT * INTO iso.u FROM iso.t', 'CREATE TABLE iso.u AS SELECT * FROM iso.t', 'CREATE TEMP TABLE u (a INT)', 'SELECT 1 FOR UPDATE', 'VACUUM', 'ANALYZE', "SECURITY LABEL ON TABLE t IS 'x'", 'GRANT ALL ON iso.t TO alice',
    ]) {
      const r = await attempt(alice, sql);
      assert.ok(!r.ok || /FOR UPDATE/.test(sql), `runs: ${sql}`);
    }
  });

  test('identity cannot be put on', async () => {
    for (const sql of [
      "EXECUTE AS USER 'bob' (SELECT * FROM iso.t)", "EXECUTE AS USER bob (SELECT * FROM iso.t)", "execute as user \"bob\" (SELECT * FROM iso.t)", "EXECUTE AS USER 'root' (SELECT * FROM system.users)", "EXECUTE AS USER 'alice' (EXECUTE AS USER 'bob' (SELECT * FROM iso.t))",
      "/* x */ EXECUTE /* y */ AS USER 'bob' (SELECT * FROM iso.t)", "EXECUTE AS USER 'bob' (DELETE FROM iso.t WHERE TRUE)", "EXECUTE AS USER 'BOB' (SELECT * FROM iso.t)", "EXECUTE AS USER 'bob ' (SELECT * FROM iso.t)",
      "SET ROLE bob", "SET SESSION AUTHORIZATION bob", "SET CURRENT_USER = 'bob'", "ALTER USER 'alice' SET ROLE 'system'", "UPDATE system.users SET role = 'system' WHERE user_id = 'alice'", "INSERT INTO system.users (user_id, role) VALUES ('x', 'system')",
    ]) {
      const r = await attempt(alice, sql);
      assert.equal(r.ok, false, sql);
    }
    assert.equal(await bob.value('SELECT COUNT(*) FROM iso.t'), '20');
    assert.equal(await alice.value('SELECT CURRENT_USER()'), 'alice');
    const reply = await alice.post('/v1/api/sql', { sql: 'SELECT CURRENT_USER(), (SELECT MAX(v) FROM iso.t)', user: 'bob', user_id: 'bob', as_user: 'bob' }, { 'x-user': 'bob', 'x-user-id': 'bob', 'x-kalamdb-user': 'bob' });
    const text = await reply.text();
    assert.ok(!text.includes('bob') && !text.includes(marks.bob), text);
  });

  test('plans are shared, rows are not', async () => {
    // the same shapes at the same time, from both, many times
    const shapes = ['SELECT v FROM iso.t WHERE id = 3', 'SELECT v FROM iso.t ORDER BY id', 'SELECT a.v FROM iso.t a JOIN iso.nk b ON a.id = b.id', 'SELECT MAX(v), COUNT(*) FROM iso.t GROUP BY n', 'SELECT v FROM iso.s'];
    await Promise.all(
      [alice, bob].flatMap((who) =>
        Array.from({ length: 8 }, async (_, i) => {
          for (let k = 0; k < scaled(25); k++) {
            await attempt(who, shapes[(i + k) % shapes.length]);
          }
        }),
      ),
    );
  });

  test('subscriptions', async () => {
    const sockets = [await Socket.open(alice), await Socket.open(bob)];
    const queries = ['SELECT * FROM iso.t', "SELECT v FROM iso.t WHERE v LIKE '%'", 'SELECT * FROM iso.nk WHERE n IN (0, 1, 2, 3, 4, 77)', 'SELECT * FROM iso.s', 'SELECT * FROM iso.t WHERE id = 5'];
    sockets.forEach((s) => {
      queries.forEach((q, i) => s.subscribe(`q${i}`, q, {}));
      s.send({ type: 'subscribe', userId: 'bob', lastMsgId: 0 });
      s.send({ type: 'subscribe', userId: 'alice', lastMsgId: 0 });
      s.subscribe('priv', 'SELECT * FROM iso.priv', {});
    });
    for (let i = 0; i < 10; i++) {
      for (const who of [alice, bob]) {
        const mark = marks[who.user as 'alice'];
        for (const t of ['t', 'nk', 's']) {
          await who.ok(`INSERT INTO iso.${t} VALUES (${5000 + i}, '${mark} new', 1)`);
        }
        await who.ok(`UPDATE iso.t SET v = '${mark} updated' WHERE id = 5`);
        await who.ok(`UPDATE iso.t SET n = ${i} WHERE id = 5`);
        await who.ok(`DELETE FROM iso.t WHERE id = ${5000 + i}`);
      }
    }
    await sleep(200);
    for (const [i, who] of [alice, bob].entries()) {
      const text = JSON.stringify(sockets[i].messages);
      assert.ok(text.includes(`${marks[who.user as 'alice']} new`), 'sees its own');
      for (const mark of others(who)) {
        assert.ok(!text.includes(mark), `${who.user} is sent ${mark}`);
      }
      await sockets[i].close();
    }
  });

  test('errors and catalogue tell nothing of others', async () => {
    for (const sql of ['SELECT * FROM system.users', 'SELECT * FROM system.live', 'SELECT * FROM dba.notifications', 'SHOW TABLES', 'SHOW NAMESPACES', 'SHOW STORAGES', 'SELECT * FROM information_schema.columns', 'SHOW STATS FOR TABLE iso.t', 'DESCRIBE TABLE iso.t']) {
      const reply = await alice.sql(sql);
      const text = JSON.stringify(reply.results);
      assert.ok(!text.includes('bob'), `${sql}: ${text.slice(0, 300)}`);
      assert.ok(!JSON.stringify(reply.error ?? '').includes(server.dir), sql);
    }
    // a duplicate key is only one in the own partition
    await alice.ok("INSERT INTO iso.t VALUES (15, 'mine', 1)");
    for (const sql of ["SELECT CAST(v AS INT) FROM iso.t", "SELECT v::INT + 1 FROM iso.t ORDER BY 1", "SELECT 1 / (n - n) FROM iso.t", "SELECT CAST((SELECT MIN(v) FROM iso.nk) AS DATE)"]) {
      await attempt(alice, sql);
      await attempt(bob, sql);
    }
  });

  test('random attempts', { timeout: 180_000 }, async () => {
    const random = seeded('isolation');
    let ok = 0;
    const n = scaled(600);
    for (let i = 0; i < n; i++) {
      const who = random.pick([alice, bob]);
      const sql = randomStatement(random);
      const r = await attempt(who, sql, random.chance(0.1) ? ['bob', 1] : undefined);
      ok += r.ok ? 1 : 0;
    }
    console.log(`${ok} of ${n} random statements ran`);
    assert.ok(ok > n / 10, `only ${ok} of ${n} ran: the generator is too wild`);
    assert.ok(JSON.stringify(await bob.rows('SELECT v FROM iso.t')).includes(marks.bob));
  });
});

function randomStatement(r: Random): string {
  const table = () =>
    r.pick(['iso.t', 'iso.nk', 'iso.s', '"iso"."t"', 'Iso.NK', 'iso.t', 'iso.nk', 'system.users', 'information_schema.tables', `'${csv}'`, `read_text('${csv}')`, 'duckdb_settings()', 'iso.priv', 'kl_scan_1()', `(${query(1)}) q`, 'generate_series(1, 3) g(id)']);
  const column = (): string => r.pick(['id', 'v', 'n', '*', '_seq', '_deleted', 'x.v', 'MAX(v)', 'COUNT(*)', 'CURRENT_USER()', "getenv('SECRET_VARIABLE')", 'v || n', 'CAST(v AS INT)', `(${query(0)} LIMIT 1)`, 'UPPER(v)', "'bob'", 'ROW_NUMBER() OVER ()', 'v::json', '$1', 'NULL']);
  const condition = (): string => r.pick(['TRUE', 'id = 3', "v LIKE '%BOB%'", "v ILIKE '%alice%'", 'n IN (1, 2)', `id IN (${query(0)})`, 'id = 3 OR TRUE', "CURRENT_USER() = 'bob'", '_seq > 0', '_deleted', 'NOT _deleted', `EXISTS (${query(0)})`, 'v = $1', 'n IS NULL OR n IS NOT NULL']);
  function query(depth: number): string {
    const base = depth > 0 && r.chance(0.5) ? table() : r.pick(['iso.t', 'iso.nk', 'iso.s']);
    return `SELECT ${r.pick(['v', 'id', '*', 'n', 'MAX(v)'])} FROM ${base}${r.chance(0.4) ? ` WHERE ${r.pick(['TRUE', 'id < 9', 'n = 1'])}` : ''}`;
  }
  const from = (): string => {
    const a = `${table()}`;
    return r.chance(0.3) ? `${a} ${r.pick([', ', ' CROSS JOIN ', ' NATURAL JOIN '])} ${r.pick(['iso.t x', 'iso.nk x', 'iso.s x'])}` : a;
  };
  let sql = `SELECT ${Array.from({ length: r.range(1, 3) }, column).join(', ')} FROM ${from()}`;
  if (r.chance(0.5)) {
    sql += ` WHERE ${condition()}${r.chance(0.3) ? ` ${r.pick(['AND', 'OR'])} ${condition()}` : ''}`;
  }
  if (r.chance(0.2)) {
    sql += ` ORDER BY ${r.pick(['1', 'v', 'id DESC', 'n'])}`;
  }
  if (r.chance(0.2)) {
    sql += ` LIMIT ${r.int(10)}`;
  }
  const dice = r.next();
  if (dice < 0.1) {
    sql = `WITH w AS (${sql}) SELECT * FROM w`;
  } else if (dice < 0.2) {
    sql = `${sql} ${r.pick(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])} SELECT ${r.pick(['v', '*', 'id'])} FROM ${table()}`;
  } else if (dice < 0.25) {
    sql = `EXECUTE AS USER '${r.pick(['bob', 'alice', 'root', 'nobody'])}' (${sql})`;
  } else if (dice < 0.28) {
    sql = `EXPLAIN ${sql}`;
  } else if (dice < 0.32) {
    sql = `SUBSCRIBE TO ${sql}`;
  } else if (dice < 0.35) {
    sql = `USE iso; ${sql.replaceAll('iso.', '')}`;
  }
  return sql;
}
