// A statement ends when its client goes away, and when its time is over: whatever it was doing, soon, and as if it had never begun.
//
// Every kind of long work runs in both ways. That it really stops shows in three things: the process no longer uses the processor, the
// only query thread and the writer serve others at once, and nothing of the statement is there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { eventually, sleep } from './lib/random.js';
import { Server } from './lib/server.js';

const rows = 60_000;
let server: Server;
let root: Client;
before(async () => {
  server = await Server.start({ config: { 'execution.query_threads': 1, 'execution.writers': 1, 'execution.statement_timeout_ms': 120_000, 'execution.transaction_timeout_ms': 120_000 } });
  root = server.root();
  await root.message('CREATE NAMESPACE c');
  await root.message("CREATE TABLE c.t (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='USER')");
  await root.message("CREATE TABLE c.big (id BIGINT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='SHARED')");
  await root.message("CREATE TABLE c.into_me (id BIGINT PRIMARY KEY, n BIGINT) WITH (TYPE='USER')");
  await root.message(`INSERT INTO c.t SELECT i, 'row ' || i || repeat('ab', 300), 0 FROM generate_series(1, ${rows}) g(i)`);
  for (let at = 0; at < 3; at++) {
    await root.message(`INSERT INTO c.big SELECT i, repeat(md5(i::TEXT), 6), 0 FROM generate_series(${at * rows + 1}, ${(at + 1) * rows}) g(i)`);
  }
  await root.message('INSERT INTO c.into_me VALUES (0, 0)');
  await root.message("CREATE VIEW c.slow AS SELECT COUNT(*) AS n FROM c.t a, c.t b, c.t d WHERE (a.id + b.id + d.id)::TEXT = 'x'");
});
after(async () => {
  await server.stop();
});

// Milliseconds of processor time so far.
function cpu(): number {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
async function isCalm(what: string): Promise<void> {
  await eventually(async () => {
    const begin = cpu();
    await sleep(200);
    assert.ok(cpu() - begin < 80, `${what}: still ${cpu() - begin} ms of processor time in 200 ms`);
  }, 6000);
}

const endless = "FROM c.t a, c.t b, c.t d WHERE (a.id + b.id + d.id)::TEXT = 'x'";
const slowly = "v ~ '(b|ab)*(a|ba)*(ab|b)*x$'"; // some microseconds a row, natively
const works: [name: string, sql: string][] = [
  ['cross join', `SELECT COUNT(*) ${endless}`],
  ['cross join that delivers rows', "SELECT a.id FROM c.t a, c.t b WHERE a.v || b.v = 'x'"],
  ['recursive CTE', 'WITH RECURSIVE q(n) AS (SELECT 1::BIGINT UNION ALL SELECT n + 1 FROM q WHERE n < 1000000000000) SELECT MAX(n) FROM q'],
  ['generate_series', 'SELECT SUM(i % 7) FROM generate_series(1, 1000000000000) g(i)'],
  ['few rows of long texts', "SELECT MAX(length(replace(a.v, 'ab', md5(b.v)))) FROM c.t a, c.t b"],
  ['window', 'SELECT MAX(s) FROM (SELECT SUM(a.n) OVER (ORDER BY a.id, b.id) AS s FROM c.t a, c.t b) q'],
  ['sort', 'SELECT a.id FROM c.t a, c.t b ORDER BY a.v || b.v LIMIT 1'],
  ['correlated subquery', "SELECT COUNT(*) FROM c.t a WHERE (SELECT COUNT(*) FROM c.t b, c.t d WHERE (b.id + d.id + a.id)::TEXT = 'x') > 0"],
  ['view', 'SELECT n FROM c.slow'],
  ['native scan', `SELECT id FROM c.t WHERE ${slowly} AND ${slowly} ORDER BY n LIMIT 3`],
  ['native aggregate', `SELECT COUNT(*), MAX(v) FROM c.t WHERE ${slowly}`],
  ['EXPLAIN ANALYZE', `EXPLAIN ANALYZE SELECT COUNT(*) ${endless}`],
  ['UPDATE', `UPDATE c.t SET n = 1 WHERE ${slowly} OR id > 0`],
  ['UPDATE with slow values', `UPDATE c.t SET n = CASE WHEN ${slowly} THEN 2 ELSE 3 END WHERE TRUE`],
  ['DELETE', `DELETE FROM c.t WHERE ${slowly} OR id > 0`],
  ['UPDATE .. FROM', `UPDATE c.t SET n = 4 FROM c.t a, c.t b WHERE (a.id + b.id + t.id)::TEXT = 'x' OR (a.id = 1 AND b.id = 1)`],
  ['DELETE .. USING', `DELETE FROM c.t USING c.t a, c.t b WHERE (a.id + b.id + t.id)::TEXT = 'x' OR (a.id = 1 AND b.id = 1)`],
  ['INSERT .. SELECT', `INSERT INTO c.into_me SELECT a.id, 1 ${endless} OR (b.id = 1 AND d.id = 1)`],
  ['CREATE TABLE AS', `CREATE TABLE c.copy AS SELECT a.id ${endless}`],
  ['statements after it', `SELECT COUNT(*) ${endless}; INSERT INTO c.into_me VALUES (7, 7)`],
  ['transaction', `BEGIN; INSERT INTO c.into_me VALUES (8, 8); UPDATE c.t SET n = 5 WHERE id < 100; SELECT COUNT(*) ${endless}; COMMIT`],
  ['transaction, INSERT .. SELECT', `BEGIN; INSERT INTO c.into_me VALUES (9, 9); INSERT INTO c.into_me SELECT a.id, 1 ${endless}; COMMIT`],
  ['transaction, UPDATE', `BEGIN; INSERT INTO c.into_me VALUES (10, 10); UPDATE c.t SET n = 6 WHERE ${slowly} OR id > 0; COMMIT`],
  ['transaction over both kinds of tables', `BEGIN; UPDATE c.big SET n = 7 WHERE id < 50; INSERT INTO c.into_me VALUES (11, 11); SELECT COUNT(*) ${endless}; COMMIT`],
  ['transaction that only reads', `BEGIN READ ONLY; SELECT COUNT(*) FROM c.t; SELECT COUNT(*) ${endless}; COMMIT`],
];

// As before, and everybody is served.
async function nothingIsLeft(what: string): Promise<void> {
  const begin = Date.now();
  assert.equal(await root.value('SELECT COUNT(*) FROM c.t a JOIN c.into_me b ON a.id = b.id'), '0', what); // DuckDB
  assert.deepEqual(await root.rows('SELECT COUNT(*), SUM(n) FROM c.t'), [[String(rows), '0']], what);
  assert.deepEqual(await root.rows('SELECT id FROM c.into_me'), [['0']], what);
  assert.equal(await root.value('SELECT COUNT(*) FROM c.big WHERE n <> 0'), '0', what);
  assert.equal(await root.message('UPDATE c.into_me SET n = n + 1 WHERE id = 0'), 'Updated 1 row(s)', what);
  assert.deepEqual(await root.rows('SELECT transaction_id FROM system.transactions'), [], what);
  assert.ok(Date.now() - begin < 5000, `${what}: others waited ${Date.now() - begin} ms`);
  await root.fail('SELECT * FROM c.copy', ['TABLE_NOT_FOUND', 'SQL_EXECUTION_ERROR']);
}

function request(sql: string): string {
  const body = JSON.stringify({ sql });
  return `POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${root.token}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
// Sends it, leaves after ms; how many bytes of an answer came until then.
async function leave(sql: string, ms: number, how: 'end' | 'reset' = 'end'): Promise<number> {
  return await new Promise((done, fail) => {
    let bytes = 0;
    const socket = connect(server.port, '127.0.0.1', () => socket.write(request(sql)));
    socket.on('data', (chunk) => (bytes += chunk.length));
    socket.on('error', fail);
    setTimeout(() => {
      socket.off('error', fail).on('error', () => undefined);
      how === 'end' ? socket.destroy() : socket.resetAndDestroy();
      done(bytes);
    }, ms);
  });
}

describe('cancelling', { concurrency: false }, () => {
  for (const [name, sql] of works) {
    test(`the client leaves: ${name}`, { timeout: 60_000 }, async () => {
      const bytes = await leave(sql, 350, name.length % 2 === 0 ? 'end' : 'reset');
      assert.equal(bytes, 0, 'it was answered: too little work to be a test');
      await isCalm(name);
      await nothingIsLeft(name);
    });
    test(`its time is over: ${name}`, { timeout: 60_000 }, async () => {
      const begin = Date.now();
      const reply = await root.sql(`SET statement_timeout = 300; ${sql}`);
      const took = Date.now() - begin;
      assert.equal(reply.status, 'error', `${name}: ${JSON.stringify(reply.results).slice(0, 300)}`);
      assert.equal(reply.http, 400, JSON.stringify(reply.error));
      assert.equal(reply.error!.code, 'SQL_EXECUTION_ERROR');
      assert.match(reply.error!.message, /canceling statement due to statement timeout$/);
      assert.ok(took < 3000, `${took} ms`);
      await isCalm(name);
      await nothingIsLeft(name);
    });
  }

  test('the time of a transaction that writes', { timeout: 60_000 }, async () => {
    const short = await Server.start({ config: { 'execution.transaction_timeout_ms': 500, 'execution.query_threads': 1 } });
    try {
      const r = short.root();
      await r.all("CREATE NAMESPACE c; CREATE TABLE c.t (id BIGINT PRIMARY KEY, n INT) WITH (TYPE='USER')");
      const cross = 'SELECT COUNT(*) FROM generate_series(1, 1000000) a(i), generate_series(1, 1000000) b(i) WHERE (a.i + b.i)::TEXT = \'x\'';
      const begin = Date.now();
      await r.fail(`BEGIN; INSERT INTO c.t VALUES (1, 1); ${cross}; COMMIT`, 'SQL_EXECUTION_ERROR', /time/);
      assert.ok(Date.now() - begin < 5000);
      // many short statements count together
      await r.fail(`BEGIN; ${Array.from({ length: 9000 }, (_, i) => `INSERT INTO c.t SELECT ${i} + x, 1 FROM generate_series(1, 300) g(x) WHERE x = 1`).join(';')}; COMMIT`, 'SQL_EXECUTION_ERROR', /time/);
      assert.equal(await r.value('SELECT COUNT(*) FROM c.t'), '0');
    } finally {
      await short.stop();
    }
  });

  test('CREATE INDEX', { timeout: 120_000 }, async () => {
    for (const unique of ['', 'UNIQUE ']) {
      const bytes = await leave(`CREATE ${unique}INDEX of_big ON c.big (v, id, n)`, 300);
      await isCalm('CREATE INDEX');
      if (bytes === 0) { // dropped again
        await eventually(async () => assert.deepEqual(await root.rows("SELECT state FROM system.indexes WHERE index_name = 'of_big'"), []));
      } else {
        console.log('the index was built before the client left');
        await root.ok('DROP INDEX c.of_big');
      }
      await root.ok('INSERT INTO c.big VALUES (-1, \'x\', 0)');
      await root.ok('DELETE FROM c.big WHERE id = -1');
    }
    const begin = Date.now();
    await root.fail('SET statement_timeout = 200; CREATE INDEX of_big ON c.big (v, id, n)', 'SQL_EXECUTION_ERROR', /canceling statement due to statement timeout$/);
    assert.ok(Date.now() - begin < 3000, `${Date.now() - begin} ms`);
    assert.deepEqual(await root.rows("SELECT index_name FROM system.indexes WHERE index_name = 'of_big'"), []);
    await root.ok('CREATE INDEX of_big ON c.big (v, id, n)');
    assert.equal(await root.value("SELECT COUNT(*) FROM c.big WHERE v = repeat(md5('77'), 6)"), '1');
    await root.ok('DROP INDEX c.of_big');
  });

  test('waiting requests of clients that left do not run', { timeout: 60_000 }, async () => {
    const holder = leave(`SELECT COUNT(*) ${endless}`, 2500);
    await sleep(100);
    const waiting = Array.from({ length: 30 }, (_, i) => leave(`SELECT COUNT(*) ${endless} OR a.id = -${i + 1}; INSERT INTO c.into_me VALUES (${100 + i}, 1)`, 500));
    await Promise.all([holder, ...waiting]);
    await isCalm('thirty that waited');
    await nothingIsLeft('thirty that waited');
  });

  test('many leave at once, the rest is answered', { timeout: 120_000 }, async () => {
    let stop = false;
    let answered = 0;
    const others = Array.from({ length: 3 }, async (_, k) => {
      while (!stop) {
        assert.equal(await root.value(`SELECT v FROM c.t WHERE id = ${k + 1}`).then((v) => String(v).startsWith(`row ${k + 1}ab`)), true);
        answered++;
      }
    });
    for (let round = 0; round < 4; round++) {
      await Promise.all(works.map(([, sql], i) => leave(sql, 20 + ((i * 37 + round * 101) % 400), i % 2 === 0 ? 'end' : 'reset')));
    }
    stop = true;
    await Promise.all(others);
    assert.ok(answered > 50, `${answered} answers meanwhile`);
    await isCalm('many that left');
    await eventually(async () => await nothingIsLeft('many that left'), 8000);
  });
});
