// Sizes: what is large and allowed works; what is too large, too deep or too slow is an error that says so, and nothing else suffers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { Server } from './lib/server.js';

let server: Server;
let root: Client;
before(async () => {
  server = await Server.start({ config: { 'execution.statement_timeout_ms': 3000, 'execution.query_memory_bytes': 67108864 } });
  root = server.root();
  await root.message('CREATE NAMESPACE l');
  await root.message("CREATE TABLE l.t (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='USER')");
});
after(async () => {
  await server.stop();
});
const alive = async (what: string) => {
  assert.ok(server.alive(), `the server has ended: ${what}\n${server.log()}`);
  await root.ok('SELECT 1');
};

describe('sizes', { concurrency: false }, () => {
  test('100,000 rows in, all of them out', { timeout: 60_000 }, async () => {
    for (let i = 0; i < 20; i++) {
      await root.ok(`INSERT INTO l.t VALUES ${Array.from({ length: 5000 }, (_, k) => `(${i * 5000 + k}, 'row ${k}', ${k % 100})`).join(',')}`);
    }
    const rows = await root.rows('SELECT id FROM l.t');
    assert.equal(rows.length, 100_000, 'no silent limit');
    assert.equal(new Set(rows.map((r) => r[0])).size, 100_000);
    assert.deepEqual(await root.rows('SELECT COUNT(*), SUM(n), MIN(id), MAX(id) FROM l.t'), [['100000', '4950000', '0', '99999']]);
    assert.deepEqual((await root.rows('SELECT n, COUNT(*) FROM l.t GROUP BY n ORDER BY n')).length, 100);
    assert.deepEqual(await root.rows('SELECT id FROM l.t ORDER BY v DESC, id DESC LIMIT 2 OFFSET 1'), (await root.rows('SELECT id FROM l.t WHERE n = 99 ORDER BY v DESC, id DESC LIMIT 3')).slice(1));
    assert.equal(await root.message('UPDATE l.t SET n = n + 1 WHERE id < 20000'), 'Updated 20000 row(s)');
    assert.equal(await root.message('DELETE FROM l.t WHERE id >= 50000'), 'Deleted 50000 row(s)');
    assert.equal(await root.value('SELECT COUNT(*) FROM l.t'), '50000');
  });
  test('one bad row undoes a large statement', async () => {
    await root.fail(`INSERT INTO l.t VALUES ${Array.from({ length: 5000 }, (_, k) => `(${k === 4999 ? 7 : 200_000 + k}, 'x', 1)`).join(',')}`, 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
    assert.equal(await root.value('SELECT COUNT(*) FROM l.t WHERE id >= 200000'), '0');
  });
  test('a large cell', async () => {
    const text = 'ab\u00e9\u{1f600}'.repeat(80_000);
    await root.ok(`INSERT INTO l.t VALUES (-1, '${text}', 1)`);
    assert.equal(await root.value('SELECT v FROM l.t WHERE id = -1'), text);
    assert.equal(await root.value('SELECT length(v) FROM l.t WHERE id = -1'), (await root.ok('SELECT length(v) FROM l.t WHERE id = -1')).rows![0][0]);
    await root.ok('DELETE FROM l.t WHERE id = -1');
  });
  test('many statements in one request', async () => {
    const results = await root.all(Array.from({ length: 2000 }, (_, i) => `SELECT ${i}`).join(';'));
    assert.equal(results.length, 2000);
    assert.deepEqual(results[1999].rows, [['1999']]);
    await root.fail(';'.repeat(10) + Array.from({ length: 10_001 }, () => 'SELECT 1').join(';'));
    await alive('many statements');
  });
  test('depth and length of expressions', { timeout: 120_000 }, async () => {
    const deep: [string, string][] = [
      ['parentheses', `SELECT ${'('.repeat(50_000)}1${')'.repeat(50_000)}`],
      ['open parentheses', `SELECT ${'('.repeat(200_000)}`],
      ['sum', `SELECT ${Array(20_000).fill('1').join('+')}`],
      ['sum of columns', `SELECT ${Array(20_000).fill('n').join('+')} FROM l.t LIMIT 1`],
      ['NOT', `SELECT ${'NOT '.repeat(50_000)}TRUE`],
      ['minus', `SELECT ${'- '.repeat(50_000)}1`],
      ['AND', `SELECT id FROM l.t WHERE ${Array(20_000).fill('n = 1').join(' AND ')}`],
      ['OR', `SELECT id FROM l.t WHERE ${Array.from({ length: 20_000 }, (_, i) => `n = ${i}`).join(' OR ')} LIMIT 1`],
      ['concatenation', `SELECT ${Array(20_000).fill("'a'").join('||')}`],
      ['CASE', `SELECT ${'CASE WHEN TRUE THEN '.repeat(5000)}1${' END'.repeat(5000)}`],
      ['calls', `SELECT ${'abs('.repeat(20_000)}1${')'.repeat(20_000)}`],
      ['casts', `SELECT 1${'::INT'.repeat(20_000)}`],
      ['subqueries', `SELECT ${'(SELECT '.repeat(2000)}1${')'.repeat(2000)}`],
      ['derived tables', `${'SELECT * FROM ('.repeat(500)}SELECT 1${') q'.repeat(500)}`],
      ['joins', `SELECT COUNT(*) FROM l.t t0 ${Array.from({ length: 300 }, (_, i) => `JOIN l.t t${i + 1} ON t${i + 1}.id = t0.id`).join(' ')} WHERE t0.id = 1`],
      ['UNION', Array(3000).fill('SELECT 1').join(' UNION ALL ')],
      ['CTEs', `WITH ${Array.from({ length: 500 }, (_, i) => `q${i} AS (SELECT ${i === 0 ? '1 AS a' : `a FROM q${i - 1}`})`).join(', ')} SELECT * FROM q499`],
      ['JSON', `SELECT '${'['.repeat(100_000)}${']'.repeat(100_000)}'::JSON`],
      ['arrays', `SELECT '${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}'::JSON ->> 'a'`],
      ['LIKE', `SELECT '${'a'.repeat(30_000)}' LIKE '${'%a'.repeat(10_000)}b'`],
      ['regular expression', `SELECT '${'a'.repeat(5000)}' ~ '(a*)*b'`],
      ['comments', `SELECT ${'/*'.repeat(50_000)}${'*/'.repeat(50_000)} 1`],
      ['columns', `SELECT ${Array(5000).fill('1').join(', ')}`],
      ['identifier', `SELECT 1 AS "${'x'.repeat(100_000)}"`],
      ['create', `CREATE TABLE l.wide (id INT PRIMARY KEY, ${Array.from({ length: 5000 }, (_, i) => `c${i} TEXT`).join(', ')}) WITH (TYPE='USER')`],
      ['default', `CREATE TABLE l.deep (id INT PRIMARY KEY, v INT DEFAULT ${'('.repeat(20_000)}1${')'.repeat(20_000)}) WITH (TYPE='USER')`],
      ['repeat', `SELECT repeat('x', 2000000000)`],
      ['lpad', `SELECT lpad('x', 2000000000)`],
      ['update', `UPDATE l.t SET n = ${'('.repeat(20_000)}1${')'.repeat(20_000)} WHERE id = 1`],
      ['delete', `DELETE FROM l.t WHERE ${'NOT '.repeat(20_000)} (id = -5)`],
      ['subscribe', `SUBSCRIBE TO l.t WHERE ${'('.repeat(20_000)}n = 1${')'.repeat(20_000)}`],
    ];
    const wrong: string[] = [];
    for (const [name, sql] of deep) {
      const started = Date.now();
      try {
        const r = await root.sql(sql);
        if (r.http >= 500) {
          wrong.push(`${name}: ${r.http} ${r.error!.code} ${r.error!.message.slice(0, 200)}`);
        }
      } catch (e) {
        wrong.push(`${name}: ${(e as Error).message.slice(0, 200)}`);
      }
      if (Date.now() - started > 8000) {
        wrong.push(`${name}: ${Date.now() - started} ms, though the limit is 3000`);
      }
      if (!server.alive()) {
        wrong.push(`${name}: THE SERVER HAS ENDED: ${server.log().slice(-500)}`);
        await server.start();
      }
      await root.ok('SELECT 1');
    }
    assert.deepEqual(wrong, []);
  });
  test('long IN lists', async () => {
    const list = Array.from({ length: 20_000 }, (_, i) => i * 2).join(',');
    assert.equal(await root.value(`SELECT COUNT(*) FROM l.t WHERE id IN (${list})`), '20000');
    assert.equal(await root.value(`SELECT COUNT(*) FROM l.t WHERE id NOT IN (${list})`), '30000');
  });
  test('a slow statement is ended, others go on meanwhile', { timeout: 60_000 }, async () => {
    const started = Date.now();
    const slow = root.fail('SELECT COUNT(*) FROM l.t a, l.t b WHERE a.v || b.v = \'x\'', 'SQL_EXECUTION_ERROR', /time|cancel/i);
    let others = 0;
    while (Date.now() - started < 2000) {
      await root.ok('SELECT v FROM l.t WHERE id = 5');
      others++;
    }
    assert.ok(others > 100, `only ${others} short statements in two seconds beside a slow one`);
    await slow;
    assert.ok(Date.now() - started < 10_000, `${Date.now() - started} ms`);
  });
  test('a client that leaves ends its statement', { timeout: 60_000 }, async () => {
    const calm = await Server.start({ config: { 'execution.statement_timeout_ms': 60_000, 'execution.query_threads': 1 } });
    try {
      const r = calm.root();
      await r.all("CREATE NAMESPACE l; CREATE TABLE l.t (id BIGINT PRIMARY KEY) WITH (TYPE='USER')");
      await r.ok(`INSERT INTO l.t VALUES ${Array.from({ length: 20_000 }, (_, k) => `(${k})`).join(',')}`);
      const leave = new AbortController();
      const gone = fetch(`${calm.url}/v1/api/sql`, {
        method: 'POST',
        signal: leave.signal,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${r.token}` },
        body: JSON.stringify({ sql: "SELECT COUNT(*) FROM l.t a, l.t b, l.t c WHERE (a.id + b.id + c.id)::TEXT = 'x'" }),
      }).catch(() => undefined);
      setTimeout(() => leave.abort(), 500);
      await gone;
      const started = Date.now();
      await r.ok('SELECT COUNT(*) FROM l.t a JOIN l.t b USING (id)'); // the only query thread is free again
      assert.ok(Date.now() - started < 8000, `${Date.now() - started} ms`);
    } finally {
      await calm.stop();
    }
  });
  test('too much memory is an error', { timeout: 60_000 }, async () => {
    for (const sql of ['SELECT string_agg(repeat(v, 500), \',\') FROM l.t', "SELECT length(string_agg(repeat('x', 10000), '')) FROM l.t", 'SELECT COUNT(*) FROM (SELECT DISTINCT repeat(v, 200) || id AS x FROM l.t) q']) {
      const r = await root.sql(sql);
      assert.ok(r.http < 500 || r.error!.code === 'OVERLOADED', `${r.http} ${JSON.stringify(r.error)}: ${sql}`);
      await alive(sql);
    }
  });
  test('each limit says which it is', { timeout: 60_000 }, async () => {
    await root.message("CREATE TABLE l.s (id INT PRIMARY KEY, v TEXT) WITH (TYPE='SHARED')");
    const limits: [sql: string, code: string, message: RegExp, params?: unknown[]][] = [
      ['SELECT $1', 'INVALID_PARAMETER', /^Parameter count exceeded: maximum 50 parameters allowed, got 51$/, Array(51).fill(1)],
      ['SELECT length($1)', 'INVALID_PARAMETER', /^Parameter size exceeded: parameter at index 0 is 524289 bytes \(max 524288 bytes\)$/, ['x'.repeat(524_289)]],
      [`SELECT '${'x'.repeat(1_048_577)}'`, 'INVALID_SQL', /^SQL query too long: \d+ bytes \(maximum 1048576 bytes\)$/],
      ["INSERT INTO l.s VALUES (1, repeat('x', 17000000))", 'SQL_EXECUTION_ERROR', /row is too large: 170000\d\d bytes, at most 16777216$/],
      ["INSERT INTO l.s SELECT 1, repeat('x', 17000000)", 'SQL_EXECUTION_ERROR', /row is too large: 170000\d\d bytes, at most 16777216$/],
      [`BEGIN; ${Array.from({ length: 8 }, (_, i) => `INSERT INTO l.s SELECT ${i * 100} + i, repeat('x', 1000000) FROM generate_series(1, 15) g(i)`).join(';')}; COMMIT`, 'SQL_EXECUTION_ERROR', /Transaction '[0-9a-f-]{36}' exceeded buffer limit of 104857600 bytes and was aborted$/],
      ["INSERT INTO l.s SELECT i, repeat('x', 1000000) FROM generate_series(1, 600) g(i)", 'SQL_EXECUTION_ERROR', /the statement's rows do not fit into memory \(512 MiB\)/],
      ["SELECT repeat('x', 1000000) FROM generate_series(1, 100) g(i)", 'SQL_EXECUTION_ERROR', /The result is larger than 67108864 bytes \(limits\.max_result_bytes\)/],
      ['SELECT i FROM generate_series(1, 20000000) g(i)', 'SQL_EXECUTION_ERROR', /The result is larger than 67108864 bytes \(limits\.max_result_bytes\)/],
      ["SELECT v, repeat(v, 400) FROM l.t", 'SQL_EXECUTION_ERROR', /The result is larger than 67108864 bytes \(limits\.max_result_bytes\)/],
    ];
    for (const [sql, code, message, params] of limits) {
      await root.fail(params ? sql : `SET statement_timeout = '1min'; ${sql}`, code, message, params);
      await alive(sql.slice(0, 200));
    }
    assert.equal(await root.value('SELECT COUNT(*) FROM l.s'), '0', 'nothing of it is there');
    await root.message("INSERT INTO l.s SELECT 1, repeat('x', 16000000)");
    await root.fail('UPDATE l.s SET v = v || v WHERE id = 1', 'SQL_EXECUTION_ERROR', /row is too large/);
    assert.equal(await root.value('SELECT length(v) FROM l.s'), 16_000_000);
  });
  test('two hundred thousand rows in one VALUES', { timeout: 60_000 }, async () => {
    await root.message("CREATE TABLE l.one (v INT) WITH (TYPE='USER')");
    assert.equal(await root.message(`INSERT INTO l.one VALUES ${Array(200_000).fill('(1)').join(',')}`), 'Inserted 200000 row(s)');
    assert.equal(await root.value('SELECT SUM(v) FROM l.one'), '200000');
  });
  test('views on views', async () => {
    let depth = 0;
    for (; depth < 100; depth++) {
      const reply = await root.sql(`CREATE VIEW l.v${depth} AS SELECT * FROM ${depth ? `l.v${depth - 1}` : 'l.t'}`);
      if (reply.error) {
        assert.match(reply.error.message, /views are nested too deeply \(at most 32 levels\)$/);
        break;
      }
    }
    assert.equal(depth, 32);
    assert.equal(await root.value('SELECT COUNT(*) FROM l.v31'), await root.value('SELECT COUNT(*) FROM l.t'));
    // one that doubles at each level
    for (let i = 0; i < 20; i++) {
      const reply = await root.sql(`CREATE VIEW l.d${i} AS SELECT a.id FROM ${i ? `l.d${i - 1} a JOIN l.d${i - 1} b` : 'l.t a JOIN l.t b'} ON a.id = b.id`);
      if (reply.error) {
        assert.ok(reply.http < 500, JSON.stringify(reply.error));
        break;
      }
    }
    await alive('views that double');
  });
  test('the memory of a query is bounded, whatever takes it', { timeout: 120_000 }, async () => {
    const peak = () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024;
    const before = peak();
    const hungry = [
      'SELECT COUNT(*) FROM (SELECT generate_series(1, 2000000000)) q',
      'SELECT array_agg(i) FROM generate_series(1, 50000000) g(i)',
      "SELECT COUNT(DISTINCT i || repeat('x', 50)) FROM generate_series(1, 20000000) g(i)",
      'SELECT i FROM generate_series(1, 20000000) g(i) ORDER BY md5(i::TEXT) LIMIT 1 OFFSET 19000000',
      "SELECT MAX(length(repeat('x' || i, 10000000))) FROM generate_series(1, 100000) g(i)",
      "SELECT MAX(length(lpad('x' || i, 10000000))) FROM generate_series(1, 100000) g(i)",
      "SELECT MAX(length(replace(a, 'x', 'abcdefghijklmnopq' || i))) FROM generate_series(1, 100000) g(i), (SELECT repeat('x', 1000000) AS a) q",
      "SELECT MAX(length(repeat('x', 60000000) || i)) FROM generate_series(1, 100000) g(i)",
      "SELECT MAX(length(concat(a, i, a))) FROM generate_series(1, 100000) g(i), (SELECT repeat('x', 1000000) AS a) q",
      "SELECT length(string_agg(repeat('x', 100000), '')) FROM generate_series(1, 100000) g(i)",
      'SELECT COUNT(*) FROM l.t a JOIN l.t b ON a.n < b.n JOIN l.t c ON c.n > b.n GROUP BY a.id, b.id, c.id',
    ];
    for (const sql of hungry) {
      const begin = Date.now();
      await root.fail(sql, 'SQL_EXECUTION_ERROR', /needs more memory than its limit allows|memory budget|requested length too large|statement timeout/);
      assert.ok(Date.now() - begin < 8000, `${Date.now() - begin} ms, though the limit is 3000: ${sql}`);
      await alive(sql);
    }
    assert.ok(peak() - before < 700, `from ${before} to ${peak()} MiB; each query may take 64`);
    assert.equal(await root.value('SELECT SUM(i) FROM generate_series(1, 3000000) g(i)'), '4500001500000', 'a long series takes none');
  });
});
