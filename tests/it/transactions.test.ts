// BEGIN .. COMMIT in one request: all or nothing, over USER and SHARED tables, also across kill -9 and on several writer threads; reads
// its own writes; concurrent transactions behave as if they ran one after the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client } from './lib/http.js';
import { scaled, seeded, sleep } from './lib/random.js';
import { Server } from './lib/server.js';

const random = seeded('transactions');
let server: Server;
let root: Client;
let ann: Client;
before(async () => {
  server = await Server.start({ config: { 'execution.writers': 3 } });
  root = server.root();
  await root.message('CREATE NAMESPACE t');
  await root.message("CREATE TABLE t.own (id BIGINT PRIMARY KEY, v BIGINT NOT NULL) WITH (TYPE='USER')");
  await root.message("CREATE TABLE t.pool (id BIGINT PRIMARY KEY, v BIGINT NOT NULL) WITH (TYPE='SHARED')");
  await root.message("CREATE TABLE t.feed (id BIGINT PRIMARY KEY) WITH (TYPE='STREAM', TTL_SECONDS=60)");
  ann = await server.createUser('ann', 'service');
});
after(async () => {
  await server.stop();
});

async function rejects(sql: string, pattern: RegExp, client = ann): Promise<void> {
  const reply = await client.sql(sql);
  assert.equal(reply.status, 'error', sql);
  assert.match(reply.error!.message, pattern);
  assert.equal(reply.results.length, 0);
}
const count = async (client: Client, table: string): Promise<number> => Number(await client.value(`SELECT COUNT(*) FROM ${table}`));

test('commit, rollback and several blocks in one request', async () => {
  const results = await ann.all(
    'BEGIN; INSERT INTO t.own VALUES (1, 10); SELECT v FROM t.own WHERE id = 1; UPDATE t.own SET v = v + 1 WHERE id = 1; SELECT v FROM t.own; COMMIT;' +
      'START TRANSACTION; DELETE FROM t.own WHERE TRUE; SELECT COUNT(*) FROM t.own; ROLLBACK; SELECT v FROM t.own',
  );
  assert.equal(results.length, 11);
  assert.match(results[0]!.message!, /^Transaction started \([0-9a-f-]{36}\)$/);
  assert.equal(results[1]!.message, 'Inserted 1 row(s)');
  assert.deepEqual(results[2]!.rows, [['10']]);
  assert.equal(results[3]!.message, 'Updated 1 row(s)');
  assert.deepEqual(results[4]!.rows, [['11']]);
  assert.match(results[5]!.message!, /^Transaction committed/);
  assert.deepEqual(results[8]!.rows, [['0']]);
  assert.match(results[9]!.message!, /^Transaction rolled back/);
  assert.deepEqual(results[10]!.rows, [['11']]);
  assert.equal(results[0]!.message!.slice(-38), results[5]!.message!.slice(-38));
});

test('a failing statement takes everything back', async () => {
  await rejects('BEGIN; INSERT INTO t.own VALUES (2, 0); INSERT INTO t.pool VALUES (2, 0); INSERT INTO t.own VALUES (2, 1); COMMIT', /^Statement 4 failed: Primary key violation/);
  assert.equal(await count(ann, 't.own'), 1);
  assert.equal(await count(ann, 't.pool'), 0);
  await rejects('BEGIN; INSERT INTO t.own VALUES (3, 0)', /^Request completed with an open explicit transaction; rolled back automatically$/);
  await rejects('COMMIT', /COMMIT requires an active explicit SQL transaction/);
  await rejects('ROLLBACK', /ROLLBACK requires an active explicit SQL transaction/);
  await rejects('BEGIN; BEGIN; COMMIT', /already has an active transaction/);
  await rejects('BEGIN; CREATE NAMESPACE q; COMMIT', /DDL is not allowed inside explicit transaction/, root);
  await rejects('BEGIN; INSERT INTO t.feed VALUES (1); COMMIT', /stream tables are not supported inside explicit transactions/);
  await rejects('BEGIN; SELECT * FROM t.feed; COMMIT', /stream tables are not supported inside explicit transactions/);
  await rejects('BEGIN READ ONLY; INSERT INTO t.own VALUES (4, 0); COMMIT', /cannot execute INSERT in a read-only transaction/);
  assert.equal(await count(ann, 't.own'), 1);
});

test('USER and SHARED rows together, with joins that see what was written', async () => {
  const results = await ann.all(
    'BEGIN; INSERT INTO t.pool VALUES (100, 1), (101, 2); INSERT INTO t.own SELECT id, v * 10 FROM t.pool WHERE id >= 100;' +
      'SELECT o.id, o.v + p.v AS s FROM t.own o JOIN t.pool p ON p.id = o.id ORDER BY 1;' +
      'UPDATE t.own SET v = p.v FROM t.pool p WHERE p.id = own.id; COMMIT; SELECT id, v FROM t.own WHERE id >= 100 ORDER BY id',
  );
  assert.deepEqual(results[3]!.rows, [
    ['100', '11'],
    ['101', '22'],
  ]);
  assert.deepEqual(results[6]!.rows, [
    ['100', '1'],
    ['101', '2'],
  ]);
});

test('nobody sees half of it, no money appears or goes', async () => {
  const clients = [ann, await server.createUser('ben', 'service'), await server.createUser('cleo', 'service')];
  await root.message('DELETE FROM t.pool WHERE TRUE');
  await root.message(`INSERT INTO t.pool VALUES ${Array.from({ length: 1500 }, (_, i) => `(${i}, 1000)`).join(', ')}`);
  let stop = false;
  const readers = clients.map(async (c) => {
    let reads = 0;
    for (; !stop; reads++) {
      assert.equal(await c.value('SELECT SUM(v) FROM t.pool'), '1500000');
      assert.equal(await c.value('SELECT COUNT(*) FROM t.pool a JOIN t.pool b ON a.id = b.id AND a.v = b.v'), '1500');
      const [, first, , second] = await c.all('BEGIN READ ONLY; SELECT SUM(v) FROM t.pool; SELECT 1; SELECT SUM(v) FROM t.pool WHERE id >= 0; COMMIT');
      assert.deepEqual(first!.rows, second!.rows);
    }
    return reads;
  });
  let done = 0;
  const movers = clients.flatMap((c) => [c, c]).map(async (c) => {
    for (let i = 0; i < scaled(60); i++) {
      const from = random.range(0, 1499);
      const to = random.range(0, 1499);
      const n = random.range(1, 50);
      const sql = `BEGIN; UPDATE t.pool SET v = v - ${n} WHERE id = ${from}; INSERT INTO t.own VALUES (${1_000_000 + done++}, ${n});
        UPDATE t.pool SET v = v + ${n} WHERE id = ${to}; ${random.next() < 0.2 ? 'ROLLBACK' : 'COMMIT'}`;
      const reply = await c.sql(sql);
      assert.equal(reply.status, 'success', JSON.stringify(reply.error));
    }
  });
  await Promise.all(movers);
  stop = true;
  assert.ok((await Promise.all(readers)).every((n) => n > 0));
});

test('kill -9: both tables have the transaction, or neither', async () => {
  await root.message('DELETE FROM t.pool WHERE TRUE');
  await ann.message('DELETE FROM t.own WHERE TRUE');
  let next = 1;
  const acked = new Set<number>();
  for (let round = 0; round < scaled(8); round++) {
    let alive = true;
    const writers = Array.from({ length: 8 }, async () => {
      while (alive) {
        const id = next++;
        try {
          const reply = await ann.sql(`BEGIN; INSERT INTO t.own VALUES (${id}, 1); INSERT INTO t.pool VALUES (${id}, 1); COMMIT`);
          if (reply.status === 'success') {
            acked.add(id);
          }
        } catch {
          return;
        }
      }
    });
    await sleep(random.range(50, 400));
    await server.kill();
    alive = false;
    await Promise.all(writers);
    await server.restart();
    const own = new Set((await ann.rows('SELECT id FROM t.own')).map((r) => Number(r[0])));
    const pool = new Set((await root.rows('SELECT id FROM t.pool')).map((r) => Number(r[0])));
    assert.deepEqual([...own].sort(), [...pool].sort());
    for (const id of acked) {
      assert.ok(own.has(id), `acknowledged transaction ${id} is gone`);
    }
  }
  assert.ok(acked.size > 100);
});
