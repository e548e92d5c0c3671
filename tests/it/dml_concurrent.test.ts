// Many writers over few keys with unique columns, and readers on every path: no row is ever seen in an older version than somebody saw
// before, no transaction half, no unique value twice; what is there at the end is what the answers said. With one writer thread and with
// three, with memory for rows and without.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Client } from './lib/http.js';
import { scaled, seeded } from './lib/random.js';
import { Server, type Config } from './lib/server.js';

const random = seeded('concurrent DML');
const keys = 24;
const padding = 400; // rows that nobody changes: enough that partitions become resident
let over = false; // a failed test leaves nobody running
const servers: Server[] = [];
after(async () => {
  over = true;
  await Promise.all(servers.map((s) => s.stop()));
});

const setups: [string, Config][] = [
  ['one writer', { 'execution.writers': 1 }],
  ['three writers', { 'execution.writers': 3 }],
  ['three writers, hardly any memory', { 'execution.writers': 3, 'storage.row_cache_bytes': 4096, 'storage.resident_bytes': 200_000 }],
  ['one writer, no memory', { 'execution.writers': 1, 'storage.row_cache_bytes': 0, 'storage.resident_bytes': 0 }],
];

for (const [name, config] of setups) {
  test(name, { timeout: 120_000 }, async () => {
    const server = await Server.start({ config });
    servers.push(server);
    const root = server.root();
    await root.message('CREATE NAMESPACE m');
    // n counts the versions of a row, u is unique, v moves between the tables and within: its sum stays
    const pad = Array.from({ length: padding }, (_, i) => `(${10_000 + i}, 0, ${-1 - i}, 0)`).join(', ');
    for (const [table, type] of [['own', 'USER'], ['pool', 'SHARED']]) {
      await root.message(`CREATE TABLE m.${table} (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, u BIGINT UNIQUE, v BIGINT NOT NULL) WITH (TYPE='${type}')`);
      await root.message(`CREATE INDEX ${table}_n ON m.${table} (n)`);
      await root.message(`INSERT INTO m.${table} VALUES ${pad}`);
      await root.message(`INSERT INTO m.${table} VALUES ${Array.from({ length: keys }, (_, i) => `(${i}, 1, ${i}, 1000)`).join(', ')}`);
    }
    const total = String(2 * keys * 1000);
    // the newest version that anybody has seen of a row, or knows to be committed
    const seen = new Map<string, number>();
    const newest = (table: string, id: number) => seen.get(`${table}${id}`) ?? 0;
    const note = (table: string, id: number, n: number) => seen.set(`${table}${id}`, Math.max(newest(table, id), n));
    const added = new Map<string, number>(); // acknowledged changes of n
    const count = (table: string, id: number) => added.set(`${table}${id}`, (added.get(`${table}${id}`) ?? 0) + 1);
    let next = 1_000_000;
    let refused = 0;
    let stop = false;

    const write = async (client: Client) => {
      const table = random.pick(['own', 'pool']);
      const [a, b] = [random.int(keys), random.int(keys)];
      const u = random.chance(0.3) ? random.int(keys) : next++;
      const dice = random.int(7);
      const [sql, changed]: [string, [string, number][]] =
        dice === 0 ? [`INSERT INTO m.${table} AS t VALUES (${a}, 1, ${next++}, 0) ON CONFLICT (id) DO UPDATE SET n = t.n + 1 RETURNING id, n`, [[table, a]]]
        : dice === 1 ? [`UPDATE m.${table} SET n = n + 1, u = ${u} WHERE id = ${a} RETURNING id, n`, [[table, a]]]
        : dice === 2 ? [`UPDATE m.${table} AS t SET n = t.n + 1 FROM m.pool AS p WHERE t.id = ${a} AND p.id = ${b} RETURNING t.id, t.n`, [[table, a]]]
        : dice === 3 ? [`INSERT INTO m.${table} AS t SELECT id, n, ${next++}, v FROM m.pool WHERE id = ${a} ON CONFLICT (id) DO UPDATE SET n = t.n + 1`, [[table, a]]]
        : dice === 4 ? [`BEGIN; UPDATE m.own SET v = v - 7, n = n + 1 WHERE id = ${a}; UPDATE m.pool SET v = v + 7, n = n + 1 WHERE id = ${b}; COMMIT`, [['own', a], ['pool', b]]]
        : dice === 5 ? [`BEGIN; UPDATE m.${table} SET v = v + 5, n = n + 1 WHERE id = ${a}; DELETE FROM m.${table} WHERE id = ${a}; ROLLBACK`, []]
        : [`BEGIN; UPDATE m.pool SET n = n + 1, u = ${u} WHERE id = ${a}; UPDATE m.own SET n = n + 1, u = ${u} WHERE id = ${a}; COMMIT`, [['pool', a], ['own', a]]];
      const reply = await client.sql(sql);
      if (reply.status !== 'success') {
        refused++;
        assert.match(reply.error!.message, /Unique constraint violation/, sql);
        return;
      }
      changed.forEach(([t, id]) => count(t, id));
      for (const [id, n] of reply.results.length === 1 ? reply.results[0]!.rows ?? [] : []) {
        note(table, Number(id), Number(n));
      }
    };
    let reads = 0;
    const read = async (client: Client) => {
      const table = random.pick(['own', 'pool']);
      const id = random.int(keys);
      const sql = random.pick([
        `SELECT id, n FROM m.${table} WHERE id = ${id}`,
        `SELECT id, n FROM m.${table} WHERE id = ${id}`,
        `SELECT id, n FROM m.${table}`,
        `SELECT id, n FROM m.${table} WHERE id < ${keys} AND v > -1000000`,
        `SELECT id, n FROM m.${table} WHERE n > 0 ORDER BY n DESC LIMIT ${keys}`,
        `SELECT t.id, t.n FROM m.${table} AS t JOIN m.pool AS p ON p.id = t.id WHERE t.id < ${keys}`,
        `BEGIN READ ONLY; SELECT id, n FROM m.${table} WHERE id < ${keys}; SELECT SUM(n) FROM m.${table}; COMMIT`,
      ]);
      const before = new Map(seen);
      const results = await client.all(sql);
      const rows = results.find((x) => x.schema?.length === 2)!.rows!.filter((r) => Number(r[0]) < keys);
      for (const [i, n] of rows) {
        const was = before.get(`${table}${i}`) ?? 0;
        assert.ok(Number(n) >= was, `row ${i} of ${table} is version ${n}, and was ${was} before: ${sql}`);
        note(table, Number(i), Number(n));
      }
      if (!/WHERE id = /.test(sql)) {
        assert.equal(new Set(rows.map((r) => r[0])).size, keys, sql);
      }
      if (results.length > 1) {
        assert.equal(rows.reduce((s, r) => s + Number(r[1]), 0), Number(results[2]!.rows![0]![0]), 'one snapshot');
      }
      reads++;
    };
    const sums = [
      'SELECT (SELECT SUM(v) FROM m.own) + (SELECT SUM(v) FROM m.pool)',
      'SELECT SUM(v) FROM (SELECT v FROM m.own UNION ALL SELECT v FROM m.pool) AS x',
    ];
    const audit = async (client: Client) => {
      assert.equal(String(await client.value(random.pick(sums))), total, 'money');
      const parts = await client.all('BEGIN READ ONLY; SELECT SUM(v) FROM m.own; SELECT SUM(v) FROM m.pool; COMMIT');
      assert.equal(Number(parts[1]!.rows![0]![0]) + Number(parts[2]!.rows![0]![0]), Number(total));
      const us = await client.rows(`SELECT u FROM m.${random.pick(['own', 'pool'])} WHERE u IS NOT NULL`);
      assert.equal(new Set(us.map((r) => r[0])).size, us.length, 'unique');
    };
    const work = (fn: (c: Client) => Promise<void>) => async () => {
      while (!stop && !over) {
        await fn(root);
      }
    };
    const readers = [...Array.from({ length: 5 }, () => work(read)()), work(audit)()];
    const failed = Promise.all(readers);
    failed.catch(() => (over = true));
    try {
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          for (let i = 0; i < scaled(40) && !over; i++) {
            await write(root);
          }
        }),
      );
    } finally {
      stop = true;
    }
    await failed;
    // every acknowledged change is there, once
    for (const table of ['own', 'pool']) {
      const rows = await root.rows(`SELECT id, n, u FROM m.${table} WHERE id < ${keys}`);
      assert.equal(rows.length, keys);
      for (const [id, n, u] of rows) {
        assert.equal(Number(n), 1 + (added.get(`${table}${id}`) ?? 0), `${table} ${id}`);
        assert.deepEqual(await root.rows(`SELECT id FROM m.${table} WHERE u = ${u}`), [[id]]);
        assert.deepEqual(await root.rows(`SELECT id FROM m.${table} WHERE n = ${n} AND id = ${id}`), [[id]]);
      }
      const through = await root.rows(`SELECT id, n FROM m.${table} WHERE n > 0 ORDER BY n LIMIT 1000`);
      assert.deepEqual(through.map(String).sort(), rows.map((r) => `${r[0]},${r[1]}`).sort());
    }
    console.log(`${name}: ${reads} reads, ${refused} writes refused`);
    assert.ok(reads > 50);
  });
}
