// Sizes: what is large and allowed works; what is too large, too deep or too slow is an error that says so, and nothing else suffers.
import assert from 'node:assert/strict';
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
});
