// Two users, the same tables, the same statements: nobody ever sees a row of the other, whatever the statement is made of, and no
// statement reaches files, the environment or the process. Fixed attempts first, then random ones (seed printed).
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { scaled, seeded, sleep, type Random } from './lib/random.js';
import { Server } from './lib/server.js';
import { Socket } from './lib/ws.js';

const marks = { alice: 'SECRET-OF-ALICE', bob: 'SECRET-OF-BOB', file: 'SECRET-IN-A-FILE', env: 'SECRET-IN-THE-ENVIRONMENT' };
const numbers = { alice: '711711711', bob: '822822822' }; // as marks, where only numbers come through
let server: Server;
let root: Client;
let alice: Client;
let bob: Client;
let csv: string;
before(async () => {
  server = await Server.start({ env: { SECRET_VARIABLE: marks.env }, config: { 'logging.level': 'debug', 'logging.slow_statement_ms': 1 } });
  csv = join(server.dir, 'secret.csv');
  writeFileSync(csv, `a,b\n1,${marks.file}\n`);
  writeFileSync(join(server.dir, 'secret.json'), `[{"a":"${marks.file}"}]`);
  root = server.root();
  await root.message('CREATE NAMESPACE iso');
  await root.message("CREATE TABLE iso.t (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='USER')");
  await root.message("CREATE TABLE iso.nk (id BIGINT, v TEXT, n INT) WITH (TYPE='USER')");
  await root.message("CREATE TABLE iso.s (id BIGINT, v TEXT, n INT) WITH (TYPE='STREAM', TTL_SECONDS=3600)");
  await root.message("CREATE TABLE iso.acc (id BIGINT PRIMARY KEY, v TEXT NOT NULL, mail TEXT UNIQUE, n INT CHECK (n >= 0), big BIGINT, CONSTRAINT short CHECK (length(v) < 60)) WITH (TYPE='USER')");
  await root.message('CREATE INDEX acc_n ON iso.acc (n)');
  await root.message('CREATE UNIQUE INDEX acc_v ON iso.acc (v, n)');
  await root.message("CREATE TABLE iso.pub (id BIGINT PRIMARY KEY, v TEXT UNIQUE) WITH (TYPE='SHARED', ACCESS_LEVEL='public')");
  await root.message("INSERT INTO iso.pub VALUES (1, 'for everybody')");
  await root.message('CREATE VIEW iso.view_t AS SELECT * FROM iso.t');
  await root.message('CREATE VIEW iso.view_view AS SELECT x.v, y.v AS w FROM iso.view_t x JOIN iso.acc y ON x.id = y.id');
  await root.message("CREATE VIEW iso.view_mark AS SELECT id, v FROM iso.acc WHERE v LIKE '%' || CURRENT_USER() || '%' OR TRUE");
  await root.message("CREATE TABLE iso.priv (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='SHARED')");
  await root.message('CREATE VIEW iso.view_priv AS SELECT * FROM iso.priv');
  await root.message(`INSERT INTO iso.priv VALUES (1, '${marks.alice} ${marks.bob}', 1)`);
  alice = await server.createUser('alice');
  bob = await server.createUser('bob');
  for (const who of [alice, bob]) {
    const mark = marks[who.user as 'alice'];
    for (const t of ['t', 'nk', 's']) {
      // the same keys in both partitions
      await who.ok(`INSERT INTO iso.${t} VALUES ${Array.from({ length: 20 }, (_, i) => `(${i}, '${mark} ${i}', ${i % 5})`).join(', ')}`);
    }
    await who.ok(`INSERT INTO iso.acc VALUES ${Array.from({ length: 20 }, (_, i) => `(${i}, '${mark} ${i}', '${mark}-${i}@x', ${i % 5}, ${numbers[who.user as 'alice']}${i + 10})`).join(', ')}`);
  }
});
after(async () => {
  await server.stop();
});

const others = (who: Client): string[] => [...Object.entries(marks), ...Object.entries(numbers)].filter(([name]) => name !== who.user).map(([, mark]) => mark);
async function attempt(who: Client, sql: string, params?: unknown[]): Promise<{ ok: boolean; code?: string }> {
  const reply = await who.sql(sql, params);
  const text = JSON.stringify(reply.results) + JSON.stringify(reply.error ?? '').replaceAll(JSON.stringify(sql).slice(1, -1), '');
  for (const mark of others(who)) {
    // an error may quote what the caller wrote
    if (text.toUpperCase().includes(mark) && !sql.toUpperCase().includes(mark)) {
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

  test('views', async () => {
    const statements = [
      'SELECT * FROM iso.view_t', 'SELECT * FROM iso.view_view', 'SELECT COUNT(*), MAX(v), MIN(v) FROM iso.view_mark', 'SELECT * FROM iso.view_t a, iso.view_mark b', 'SELECT * FROM iso.view_view WHERE v <> w', "EXPLAIN ANALYZE SELECT * FROM iso.view_view WHERE v LIKE '%BOB%'",
      'SELECT * FROM iso.view_priv', 'WITH q AS (SELECT * FROM iso.view_priv) SELECT * FROM q', 'SELECT (SELECT MAX(v) FROM iso.view_priv)', 'SELECT 1 WHERE EXISTS (SELECT * FROM iso.view_priv)', 'SELECT * FROM iso.view_t WHERE id IN (SELECT id FROM iso.view_priv)', 'INSERT INTO iso.nk SELECT * FROM iso.view_priv',
      'CREATE VIEW iso.mine AS SELECT * FROM iso.priv', 'CREATE OR REPLACE VIEW iso.view_t AS SELECT * FROM iso.priv', 'DROP VIEW iso.view_t', 'INSERT INTO iso.view_t VALUES (1)', "UPDATE iso.view_t SET v = 'x' WHERE TRUE", 'DELETE FROM iso.view_t WHERE TRUE', 'SELECT * FROM system.views', 'SELECT * FROM information_schema.views',
      'SHOW CREATE VIEW iso.view_priv', 'SHOW CREATE TABLE iso.view_t', 'DESCRIBE TABLE iso.view_priv', 'DESCRIBE iso.view_t HISTORY', 'SUBSCRIBE TO iso.view_t', 'EXPLAIN SELECT * FROM iso.view_priv',
    ];
    for (const who of [alice, bob]) {
      for (const sql of statements) {
        const r = await attempt(who, sql);
        assert.ok(!r.ok || !/view_priv|OR REPLACE|DROP|CREATE VIEW/.test(sql) || /DESCRIBE|SHOW CREATE/.test(sql), `runs for ${who.user}: ${sql}`);
      }
      assert.equal(await who.value('SELECT COUNT(*) FROM iso.view_mark'), '20', 'of each the own rows');
      assert.equal(await who.value('SELECT COUNT(DISTINCT substr(w, 1, 13)) FROM iso.view_view'), '1');
    }
    assert.equal(await root.value('SELECT COUNT(*) FROM iso.view_mark'), '0', 'a view runs for whoever asks, not for who made it');
    assert.equal(await root.value("EXECUTE AS USER 'bob' (SELECT COUNT(*) FROM iso.view_mark)"), '20');
    await attempt(alice, "EXECUTE AS USER 'bob' (SELECT * FROM iso.view_mark)");
  });

  test('keys, unique values and indexes hold within a partition', async () => {
    const plan = async (who: Client, sql: string) => JSON.stringify((await who.rows(`EXPLAIN ANALYZE ${sql}`)).map((r) => String(r[0]).replace(/[0-9.]+ ?(ms|us|µs)/g, 'TIME')));
    // the same values as the other's are new here; what each sees of it does not depend on whether the other has them
    await alice.ok(`INSERT INTO iso.acc VALUES (100, '${marks.bob} 3', '${marks.bob}-3@x', 3, 1)`);
    await alice.ok("INSERT INTO iso.acc VALUES (101, 'nobody has it', 'nobody@x', 3, 1)");
    for (const [who, value] of [[alice, `'${marks.bob} 5'`], [alice, "'nobody else'"]] as [Client, string][]) {
      await who.ok(`INSERT INTO iso.acc VALUES (102, ${value}, ${value}, 5, 1) ON CONFLICT DO NOTHING`);
      assert.deepEqual(await who.rows(`INSERT INTO iso.acc VALUES (103, ${value}, 'm3', 6, 1) ON CONFLICT (id) DO UPDATE SET n = 99 RETURNING n`), [[6]]);
      assert.equal(await who.message('DELETE FROM iso.acc WHERE id IN (102, 103)'), 'Deleted 2 row(s)');
    }
    // EXPLAIN is for administrators, and shows what their own statement would do
    const carol = await server.createUser('carol', 'dba');
    await carol.ok("INSERT INTO iso.acc SELECT i, 'row ' || i, 'mail ' || i, i % 5, i FROM generate_series(1, 20) g(i)");
    for (const sql of ["SELECT * FROM iso.acc WHERE mail = '?'", "SELECT * FROM iso.acc WHERE v = '?' AND n = 2", "SELECT * FROM iso.acc WHERE v > '?' ORDER BY v LIMIT 3"]) {
      const there = await plan(carol, sql.replace('?', `${marks.bob}-7@x`));
      assert.equal(there.replaceAll(`${marks.bob}-7@x`, '?'), (await plan(carol, sql.replace('?', 'R-nobody-7@x'))).replaceAll('R-nobody-7@x', '?'));
    }
    await alice.fail('EXPLAIN ANALYZE SELECT * FROM iso.acc', 'PERMISSION_DENIED');
    assert.equal(await alice.value(`SELECT COUNT(*) FROM iso.acc WHERE mail = '${marks.bob}-7@x'`), '0');
    // rows read are the own ones, whatever others have
    for (const sql of ['SELECT * FROM iso.acc WHERE n = 3', 'SELECT v FROM iso.acc ORDER BY n LIMIT 3', 'SELECT COUNT(*) FROM iso.acc WHERE big > 0', 'SELECT v FROM iso.acc WHERE mail IS NOT NULL']) {
      for (const who of [carol, root]) {
        const own = Number(await who.value('SELECT COUNT(*) FROM iso.acc'));
        const text = JSON.stringify(await who.rows(`EXPLAIN ANALYZE ${sql}`));
        const read = Number(/Rows read: ([0-9]+)/.exec(text)![1]);
        assert.ok(read <= own, `${who.user} reads ${read} rows of ${own}: ${text}`);
      }
    }
    await alice.ok('DELETE FROM iso.acc WHERE id >= 100');
    // an administrator's index statement names no value and no user
    await root.ok(`EXECUTE AS USER 'bob' (INSERT INTO iso.acc VALUES (200, '${marks.bob} 200', 'm200', 1, 4242), (201, '${marks.bob} 201', 'm201', 2, 4242))`);
    const error = await root.fail('CREATE UNIQUE INDEX acc_big ON iso.acc (big)', 'SQL_EXECUTION_ERROR', /unique/i);
    assert.ok(!/4242|bob|SECRET/i.test(JSON.stringify({ ...error, details: '' })), JSON.stringify(error));
    assert.deepEqual(await root.rows("SELECT * FROM system.indexes WHERE index_name = 'acc_big'"), []);
    await bob.ok('DELETE FROM iso.acc WHERE id >= 200');
    for (const sql of ['CREATE INDEX mine ON iso.acc (v)', 'DROP INDEX iso.acc_n', 'CREATE UNIQUE INDEX u ON iso.acc (big)', 'ALTER TABLE iso.acc DROP COLUMN v', 'ALTER TABLE iso.acc ADD COLUMN q TEXT']) {
      assert.equal((await attempt(alice, sql)).ok, false, sql);
    }
  });

  test('errors quote the own rows only', async () => {
    const statements = [
      'UPDATE iso.acc SET mail = (SELECT MAX(mail) FROM iso.acc) WHERE TRUE', "UPDATE iso.acc SET n = -1 WHERE TRUE", 'UPDATE iso.acc SET v = v || v || v || v || v WHERE TRUE', 'INSERT INTO iso.acc SELECT id, v, mail, n, big FROM iso.acc', 'INSERT INTO iso.acc SELECT id + 1, v, mail, n, big FROM iso.acc RETURNING *',
      'INSERT INTO iso.acc SELECT * FROM iso.acc ON CONFLICT DO NOTHING RETURNING *', 'INSERT INTO iso.acc (id, v, mail, n) SELECT id, v, mail, -5 FROM iso.acc ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n RETURNING *', "INSERT INTO iso.acc VALUES (3, 'a', 'b', 1, 1)", 'SELECT CAST(mail AS INT) FROM iso.acc', 'SELECT mail::UUID FROM iso.acc ORDER BY n',
      'SELECT v::TIMESTAMP FROM iso.acc x JOIN iso.t y USING (id, n)', 'SELECT 1 / (big - big) FROM iso.acc', 'SELECT big * 9999999999 FROM iso.acc', 'SELECT SUM(big * 1000000000) FROM iso.acc a, iso.acc b', 'UPDATE iso.acc SET n = big WHERE TRUE', 'UPDATE iso.acc SET n = t.n - 9 FROM iso.t WHERE t.id = acc.id RETURNING acc.*', 'DELETE FROM iso.acc USING iso.t WHERE t.v::INT = acc.id',
      'UPDATE iso.acc SET v = NULL WHERE id = 4', 'INSERT INTO iso.acc (id) VALUES (777)', 'SELECT (SELECT v FROM iso.acc) FROM iso.t', "SELECT v ~ '(' FROM iso.acc", 'SELECT v::JSON FROM iso.acc', 'SELECT date_trunc(v, NOW()) FROM iso.acc', 'SELECT to_timestamp(v, v) FROM iso.acc', 'SELECT v::DECIMAL(3,1) FROM iso.acc, iso.nk',
      'INSERT INTO iso.pub SELECT id, v FROM iso.acc', "INSERT INTO iso.pub VALUES (1, 'x')", 'SELECT * FROM iso.acc WHERE mail = (SELECT mail FROM iso.acc)', 'SELECT length(repeat(v, 100000000)) FROM iso.acc', 'SELECT string_agg(v, mail) OVER (ORDER BY big) FROM iso.acc', 'SELECT * FROM iso.acc WHERE nope = 1', 'SELECT bob.v FROM iso.acc', 'SELECT * FROM bob.acc', 'SELECT * FROM iso.bob',
      'TRUNCATE iso.priv', 'DELETE FROM iso.pub WHERE TRUE', 'BEGIN; DELETE FROM iso.acc WHERE id < 3; INSERT INTO iso.acc SELECT * FROM iso.acc; COMMIT', 'BEGIN; UPDATE iso.acc SET n = 3 WHERE TRUE; SELECT CAST(v AS INT) FROM iso.acc; COMMIT', 'BEGIN; SELECT * FROM iso.acc; SELECT * FROM iso.view_priv; COMMIT', "BEGIN; EXECUTE AS USER 'bob' (SELECT * FROM iso.acc); COMMIT",
    ];
    for (const sql of statements) {
      for (const who of [alice, bob]) {
        await attempt(who, sql);
      }
    }
    for (const who of [alice, bob]) {
      assert.equal(await who.value(`SELECT COUNT(*) FROM iso.acc WHERE v LIKE '${marks[who.user as 'alice']}%' AND n BETWEEN 0 AND 4`), '20');
    }
  });

  test('transactions', async () => {
    const n = 'SELECT COUNT(*) FROM iso.acc';
    // of two users at once, by one who may
    const results = await root.all(`BEGIN; EXECUTE AS USER 'alice' (INSERT INTO iso.acc VALUES (300, 'by root', 'r@x', 1, 1)); EXECUTE AS USER 'bob' (${n}); ${n}; EXECUTE AS USER 'alice' (SELECT v FROM iso.acc WHERE id = 300); INSERT INTO iso.pub VALUES (300, 'shared'); ROLLBACK; EXECUTE AS USER 'alice' (${n})`);
    assert.deepEqual(results.filter((r) => r.rows).map((r) => r.rows![0][0]), ['20', '0', 'by root', '20']);
    assert.deepEqual(results.filter((r) => r.rows).map((r) => r.as_user), ['bob', 'root', 'alice', 'alice']);
    assert.equal(await alice.value('SELECT COUNT(*) FROM iso.pub'), '1', 'rolled back');
    // what is under way is nobody else's to see, also not inside of it after a rollback
    await Promise.all([
      ...Array.from({ length: 10 }, async (_, i) => await attempt(bob, `BEGIN; INSERT INTO iso.acc VALUES (${400 + i}, '${marks.bob} t${i}', '${marks.bob} t${i}', 2, 1); SELECT * FROM iso.acc; ${i % 2 ? 'ROLLBACK' : 'COMMIT'}`)),
      ...Array.from({ length: 30 }, async (_, i) => await attempt(alice, ['BEGIN READ ONLY; SELECT * FROM iso.acc; SELECT * FROM iso.view_view; COMMIT', 'SELECT * FROM system.transactions', 'BEGIN; UPDATE iso.acc SET n = 1 WHERE id = 1; SELECT a.v, b.v FROM iso.acc a, iso.t b; ROLLBACK'][i % 3])),
    ]);
    assert.equal(await bob.message('DELETE FROM iso.acc WHERE id >= 400'), 'Deleted 5 row(s)');
    assert.equal(await alice.value(n), '20');
  });

  test('every relation of the catalogue, as every role', async () => {
    const service = await server.createUser('worker', 'service');
    const dba = await server.createUser('keeper', 'dba');
    const relations = (await root.rows("SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ('system', 'dba', 'information_schema', 'pg_catalog')")).map((r) => String(r[0]));
    assert.ok(relations.length > 20, relations.join());
    const more = ['SHOW TABLES', 'SHOW TABLES IN iso', 'SHOW NAMESPACES', 'SHOW STORAGES', 'SHOW CREATE TABLE iso.acc', 'SHOW CREATE TABLE iso.priv', 'DESCRIBE TABLE iso.acc', 'DESCRIBE iso.acc HISTORY', 'DESCRIBE TABLE iso.acc HISTORY', 'SHOW STATS FOR TABLE iso.acc', 'SHOW STATS FOR TABLE iso.priv', 'SHOW INDEXES', 'EXPLAIN SELECT * FROM iso.acc WHERE n = 3', 'EXPLAIN ANALYZE SELECT * FROM iso.acc a JOIN iso.t b USING (id)', 'EXPLAIN (ANALYZE) SELECT MAX(v) FROM iso.acc', 'EXPLAIN UPDATE iso.acc SET v = (SELECT MAX(v) FROM iso.t) WHERE n = 2'];
    const names = /\bbob\b|\balice\b|\bworker\b|\bkeeper\b|\bcarol\b/;
    for (const who of [alice, bob, service, dba, root]) {
      for (const sql of [...relations.flatMap((r) => [`SELECT * FROM ${r}`, `SELECT COUNT(*) FROM ${r} a`]), ...more]) {
        await attempt(who, sql); // rows of USER tables are nobody's but the owner's, administrators included
        if (who === alice || who === bob) {
          const reply = await who.sql(sql);
          const found = names.exec(JSON.stringify(reply.results).replaceAll(new RegExp(`\\b${who.user}\\b`, 'g'), 'me'));
          assert.equal(found, null, `${who.user} learns of ${found?.[0]}: ${sql}: ${JSON.stringify(reply.results).slice(0, 2000)}`);
        }
      }
    }
    // whose rows how many there are is not told either
    assert.equal((await alice.objects('SHOW STATS FOR TABLE iso.acc'))[0].logical_rows, '20');
    await bob.ok("INSERT INTO iso.acc VALUES (500, 'one more', 'o', 1, 1)");
    assert.equal((await alice.objects('SHOW STATS FOR TABLE iso.acc'))[0].logical_rows, '20');
    await bob.ok('DELETE FROM iso.acc WHERE id = 500');
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

  test('the log holds nobody\'s values', () => {
    const log = readFileSync(server.logFile, 'utf8');
    assert.ok(log.includes('statement took'), 'slow statements are logged');
    for (const mark of [...Object.values(marks), ...Object.values(numbers)]) {
      const at = log.toUpperCase().indexOf(mark);
      assert.equal(at, -1, log.slice(Math.max(0, at - 400), at + 100));
    }
  });
});

function randomStatement(r: Random): string {
  const table = () =>
    r.pick(['iso.t', 'iso.nk', 'iso.s', '"iso"."t"', 'Iso.NK', 'iso.t', 'iso.nk', 'system.users', 'information_schema.tables', `'${csv}'`, `read_text('${csv}')`, 'duckdb_settings()', 'iso.priv', 'kl_scan_1()', `(${query(1)}) q`, 'generate_series(1, 3) g(id)', 'iso.acc', 'iso.acc', 'iso.view_t', 'iso.view_view', 'iso.view_mark', 'iso.view_priv', 'iso.pub', 'system.tables', 'system.indexes', 'system.stats', 'information_schema.columns']);
  const column = (): string => r.pick(['id', 'v', 'n', '*', '_seq', '_deleted', 'x.v', 'MAX(v)', 'COUNT(*)', 'CURRENT_USER()', "getenv('SECRET_VARIABLE')", 'v || n', 'CAST(v AS INT)', `(${query(0)} LIMIT 1)`, 'UPPER(v)', "'bob'", 'ROW_NUMBER() OVER ()', 'v::json', '$1', 'NULL', 'big', 'mail', 'big + n', 'mail::INT', 'big / (n - n)', 'SUM(big)', 'lower(v)', "string_agg(v, ',')"]);
  const condition = (): string => r.pick(['TRUE', 'id = 3', "v LIKE '%BOB%'", "v ILIKE '%alice%'", 'n IN (1, 2)', `id IN (${query(0)})`, 'id = 3 OR TRUE', "CURRENT_USER() = 'bob'", '_seq > 0', '_deleted', 'NOT _deleted', `EXISTS (${query(0)})`, 'v = $1', 'n IS NULL OR n IS NOT NULL', 'n = 3', 'n BETWEEN 1 AND 3', 'mail IS NOT NULL', "mail = 'SECRET-OF-' || 'BOB-3@x'", 'big > 0']);
  function query(depth: number): string {
    const base = depth > 0 && r.chance(0.5) ? table() : r.pick(['iso.t', 'iso.nk', 'iso.s']);
    return `SELECT ${r.pick(['v', 'id', '*', 'n', 'MAX(v)'])} FROM ${base}${r.chance(0.4) ? ` WHERE ${r.pick(['TRUE', 'id < 9', 'n = 1'])}` : ''}`;
  }
  const from = (): string => {
    const a = `${table()}`;
    return r.chance(0.3) ? `${a} ${r.pick([', ', ' CROSS JOIN ', ' NATURAL JOIN '])} ${r.pick(['iso.t x', 'iso.nk x', 'iso.s x'])}` : a;
  };
  // whatever it writes, it is the own rows; the marks of both stay where they are
  const write = (): string => {
    const target = r.pick(['iso.acc', 'iso.t', 'iso.nk', 'iso.pub', 'iso.priv', 'iso.view_t']);
    const returning = r.chance(0.4) ? ` RETURNING ${r.pick(['*', 'v', 'id', 'n, v'])}` : '';
    const base = r.pick(['iso.acc', 'iso.t', 'iso.view_mark', 'iso.nk']);
    return r.pick([
      `UPDATE ${target} SET n = ${r.pick(['n', 'n + 1', '-1', '0', `(SELECT MAX(n) FROM ${base})`])} WHERE ${condition()}${returning}`,
      `UPDATE ${target} SET n = x.n FROM ${base} x WHERE ${r.pick(['TRUE', 'x.id = 3', "x.v LIKE '%BOB%'"])}${returning}`,
      `INSERT INTO ${target} (id, v, n) SELECT id${r.pick(['', ' + 1000', ' + 5'])}, v, n FROM ${base}${r.pick(['', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n'])}${returning}`,
      `DELETE FROM ${target} WHERE id > 900${returning}`,
      `DELETE FROM ${target} USING ${base} x WHERE x.v::INT = 3${returning}`,
    ]);
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
    sql = `EXPLAIN ${r.pick(['', 'ANALYZE '])}${sql}`;
  } else if (dice < 0.32) {
    sql = `SUBSCRIBE TO ${sql}`;
  } else if (dice < 0.35) {
    sql = `USE iso; ${sql.replaceAll('iso.', '')}`;
  } else if (dice < 0.42) {
    sql = `BEGIN; ${write()}; ${sql}; ${r.pick(['ROLLBACK', 'ROLLBACK', 'COMMIT'])}`;
  } else if (dice < 0.55) {
    sql = write();
  }
  return sql;
}
