// Statements are planned once per shape, with their literals as parameters. Whatever literals came before, a statement has to mean
// what it says: the same statements in different orders, on a server that keeps many plans and on one that keeps a single plan,
// and as one row or many, have the same outcome.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client, Reply } from './lib/http.js';
import { scaled, seeded } from './lib/random.js';
import { Server } from './lib/server.js';

let many: Server;
let one: Server;
let a: Client;
let b: Client;
before(async () => {
  [many, one] = await Promise.all([Server.start(), Server.start({ config: { 'execution.sql_plan_cache_max_entries': 1 } })]);
  [a, b] = [many.root(), one.root()];
  for (const c of [a, b]) {
    await c.ok('CREATE NAMESPACE p');
    await c.ok("CREATE TABLE p.t (id INT PRIMARY KEY, s SMALLINT, b BIGINT, d DOUBLE, m DECIMAL(10,2), t TEXT, o BOOLEAN, dt DATE, ts TIMESTAMP) WITH (TYPE='USER')");
    await c.ok(`INSERT INTO p.t VALUES ${Array.from({ length: 20 }, (_, i) => `(${i}, ${i - 10}, ${i * 1000000007}, ${i / 4}, ${i}.25, '${i}', ${i % 2 === 0}, '2026-01-${10 + i}', '2026-01-${10 + i} 12:00:00')`).join(', ')}, (100, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`);
  }
});
after(async () => {
  await Promise.all([many.stop(), one.stop()]);
});

const literals = [
  '5', '-5', '0', "'5'", "'x'", "''", 'NULL', '5.0', '5.25', "'5.25'", '1e1', '99999999999', '99999999999999999999', '32768', 'TRUE', 'FALSE', "'t'", "'2026-01-15'", "DATE '2026-01-15'", "TIMESTAMP '2026-01-15 12:00:00'", "E'5'", '$$5$$', '+5', '(5)', '2 + 3', "'5'::INT", 'id', "'%'", "'1%'", '-2147483648', "INTERVAL '1 day'",
];
const templates = [
  ...['id', 's', 'b', 'd', 'm', 't', 'o', 'dt', 'ts'].flatMap((c) => [`SELECT id FROM p.t WHERE ${c} = ? ORDER BY id`, `SELECT id FROM p.t WHERE ${c} > ? ORDER BY id`, `SELECT id FROM p.t WHERE ${c} IN (?, ?) ORDER BY id`, `SELECT id FROM p.t WHERE ${c} BETWEEN ? AND ? ORDER BY id`, `SELECT COALESCE(${c}, ?) FROM p.t WHERE id = 100`]),
  'SELECT ?', 'SELECT ?, ?', 'SELECT ? + ?', 'SELECT ? || ?', 'SELECT id + ? FROM p.t WHERE id < 3 ORDER BY id', 'SELECT t || ? FROM p.t WHERE id < 3 ORDER BY id', 'SELECT id FROM p.t WHERE t LIKE ? ORDER BY id', 'SELECT id FROM p.t ORDER BY id LIMIT ?', 'SELECT id FROM p.t ORDER BY id LIMIT 2 OFFSET ?', 'SELECT id FROM p.t ORDER BY ?, id LIMIT 1',
  'SELECT CASE WHEN id = ? THEN ? ELSE ? END FROM p.t WHERE id < 6 ORDER BY id', 'SELECT x.id FROM p.t x JOIN p.t y ON x.id = y.id WHERE y.b > ? ORDER BY 1 LIMIT 3', 'SELECT COUNT(*), ? FROM p.t GROUP BY o HAVING COUNT(*) > ? ORDER BY 1', 'SELECT CAST(? AS TEXT), CAST(? AS INT)', 'SELECT round(m, ?) FROM p.t WHERE id = 3', 'SELECT substr(t, ?) FROM p.t WHERE id = 12', 'SELECT ts + ? FROM p.t WHERE id = 1', 'VALUES (?, ?), (?, ?)', 'SELECT * FROM (VALUES (?), (?)) v(c) ORDER BY 1',
];
const outcome = (r: Reply): string => (r.status === 'error' ? `error ${r.error!.code}` : JSON.stringify([r.results[0].schema?.map((c) => c.data_type), r.results[0].rows, r.results[0].message]));

test('order and cache do not matter', { timeout: 240_000 }, async () => {
  const random = seeded('shapes');
  const statements = Array.from({ length: scaled(2500) }, () => random.pick(templates).replace(/\?/g, () => random.pick(literals)));
  const first = new Map<string, string>();
  const faults: string[] = [];
  for (const [client, list] of [[a, statements], [b, [...statements].reverse()], [a, [...statements].sort()]] as const) {
    let next = 0;
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (next < list.length) {
          const sql = list[next++];
          const r = await client.sql(sql);
          assert.ok(r.http < 500, `${r.http} ${JSON.stringify(r.error)}: ${sql}`);
          const got = outcome(r);
          const before = first.get(sql);
          if (before === undefined) {
            first.set(sql, got);
          } else if (before !== got) {
            faults.push(`${sql}\n   ${before}\n   ${got} ${r.error?.message ?? ''}`);
          }
        }
      }),
    );
  }
  assert.deepEqual(faults.slice(0, 15), []);
});

test('rows of one INSERT and one INSERT a row mean the same', { timeout: 120_000 }, async () => {
  const random = seeded('shapes of INSERT');
  const create = (t: string, c: Client) => c.ok(`CREATE TABLE p.${t} (id INT PRIMARY KEY, s SMALLINT DEFAULT 3, d DOUBLE, m DECIMAL(6,2), t TEXT DEFAULT 'none', o BOOLEAN, dt DATE) WITH (TYPE='USER')`);
  await create('bulk', a);
  await create('single', a);
  const faults: string[] = [];
  let good = 0;
  for (let i = 0; i < scaled(300); i++) {
    await a.ok('DELETE FROM p.bulk WHERE TRUE');
    await a.ok('DELETE FROM p.single WHERE TRUE');
    const wild = random.chance(0.3);
    const cell = (c: string): string => {
      const usual: Record<string, string[]> = { s: ['1', '-2', 'NULL', 'DEFAULT', "'7'", '2.5', '1 + 1'], d: ['1', '1.5', 'NULL', "'2.5'", '-3', '1e2'], m: ['1', '1.25', '-0.005', 'NULL', "'9.99'"], t: ["'a'", 'NULL', "''", 'DEFAULT', "'it''s'", '5', '1.5', 'TRUE'], o: ['TRUE', 'FALSE', 'NULL', "'t'", "'0'"], dt: ["'2026-01-02'", 'NULL', "DATE '2026-02-03'"] };
      return wild && random.chance(0.05) ? random.pick(literals.filter((l) => l !== 'id')) : random.pick(usual[c]);
    };
    const rows = Array.from({ length: random.range(1, 6) }, (_, k) => `(${k}, ${['s', 'd', 'm', 't', 'o', 'dt'].map(cell).join(', ')})`);
    const bulk = await a.sql(`INSERT INTO p.bulk VALUES ${rows.join(', ')}`);
    let failed = false;
    for (const r of rows) {
      failed = (await a.sql(`INSERT INTO p.single VALUES ${r}`)).status === 'error' || failed;
    }
    if (bulk.status === 'error') {
      if (!failed) {
        faults.push(`${rows.join(', ')}: only together: ${bulk.error!.message}`);
      }
      assert.equal(await a.value('SELECT COUNT(*) FROM p.bulk'), '0');
    } else if (failed) {
      faults.push(`${rows.join(', ')}: only one by one`);
    } else {
      good++;
      const read = (t: string) => a.rows(`SELECT id, s, d, m, t, o, dt FROM p.${t} ORDER BY id`);
      const [x, y] = [await read('bulk'), await read('single')];
      if (JSON.stringify(x) !== JSON.stringify(y)) {
        faults.push(`${rows.join(', ')}:\n   ${JSON.stringify(x)}\n   ${JSON.stringify(y)}`);
      }
    }
  }
  assert.deepEqual(faults.slice(0, 10), []);
  assert.ok(good > scaled(300) / 4, `only ${good} succeeded`);
});
