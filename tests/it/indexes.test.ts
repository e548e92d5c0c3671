// An index changes how fast an answer comes, never the answer: the same random statements on a table with indexes and on one without,
// natively and in DuckDB, between random changes of both. KL_IT_SEED repeats a run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client, Reply } from './lib/http.js';
import { scaled, seeded, sleep, type Random } from './lib/random.js';
import { Server } from './lib/server.js';

let server: Server;
let duckServer: Server;
let clients: Client[];

const definition = '(id BIGINT PRIMARY KEY, k TEXT, n INT, f DOUBLE, m DECIMAL(8,2), d DATE, ts TIMESTAMP NOT NULL, u INT, o BOOLEAN)';
const indexes = ['(k)', '(n)', '(k, n)', '(n, k, d)', '(f)', '(m, n)', '(d)', '(ts)', '(o, ts)'];

before(async () => {
  [server, duckServer] = await Promise.all([Server.start(), Server.start({ config: { 'execution.executor': 'duckdb' } })]);
  clients = [server.root(), duckServer.root()];
  for (const c of clients) {
    await c.message('CREATE NAMESPACE x');
    await c.message(`CREATE TABLE x.bare ${definition} WITH (TYPE='USER')`);
    await c.message(`CREATE TABLE x.t ${definition} WITH (TYPE='USER')`);
    for (const [i, columns] of indexes.entries()) {
      await c.message(`CREATE INDEX t_${i} ON x.t ${columns}`);
    }
    await c.message('CREATE UNIQUE INDEX t_u ON x.t (u)');
  }
});
after(async () => {
  await Promise.all([server.stop(), duckServer.stop()]);
});

const quote = (t: string) => `'${t.replaceAll("'", "''")}'`;
const values: Record<string, (r: Random) => string> = {
  id: (r) => String(r.range(0, 400)),
  k: (r) => quote(r.pick(['a', 'b', 'ab', '', 'B', 'aa', '\u00e4', 'a\\', 'zz'])),
  n: (r) => r.pick(['-1', '0', '1', '2', '3', '7', '2147483647', '-2147483648', '99999999999', '1.5', '2.0']),
  f: (r) => r.pick(['0', '-0.0', '0.5', '-1.25', '1e10', '3', "'NaN'::double precision", "'Infinity'::double precision"]),
  m: (r) => r.pick(['0', '1.50', '-0.05', '1.505', '1.499', '12.3', '7', '99999999']),
  d: (r) => quote(r.pick(['2026-01-01', '2024-02-29', '1999-12-31'])) + r.pick(['', '::date', '::timestamp']),
  ts: (r) => r.pick(['', 'TIMESTAMP ']) + quote(`2026-01-0${r.range(1, 9)} 0${r.range(0, 9)}:00:00`),
  u: (r) => String(r.range(0, 400)),
  o: (r) => r.pick(['TRUE', 'FALSE']),
  _seq: (r) => r.pick(['0', '-1', '9223372036854775807', '300000000000000000', '5.5']),
};
const stored: Record<string, (r: Random) => string> = {
  ...values,
  n: (r) => r.pick(['-1', '0', '1', '2', '3', '7', '2147483647', '-2147483648']),
  m: (r) => r.pick(['0', '1.50', '1.51', '-0.05', '12.3', '7']),
  d: (r) => quote(r.pick(['2026-01-01', '2024-02-29', '1999-12-31'])),
};
const columns = Object.keys(values);

function condition(r: Random, depth = 0): string {
  const c = r.pick(columns);
  const v = () => (r.chance(0.05) ? 'NULL' : values[c](r));
  const dice = r.next();
  if (depth < 2 && dice < 0.4) {
    return `(${condition(r, depth + 1)} ${r.chance(0.75) ? 'AND' : 'OR'} ${condition(r, depth + 1)})`;
  }
  if (dice < 0.45) {
    return `NOT (${condition(r, depth + 1)})`;
  }
  if (dice < 0.5) {
    return `${c} IS ${r.pick(['', 'NOT '])}NULL`;
  }
  if (dice < 0.6) {
    return `${c} ${r.chance(0.2) ? 'NOT ' : ''}IN (${Array.from({ length: r.range(1, 4) }, v).join(', ')})`;
  }
  if (dice < 0.7) {
    return `${c} BETWEEN ${v()} AND ${v()}`;
  }
  const op = r.pick(['=', '=', '=', '<', '<=', '>', '>=', '<>']);
  return r.chance(0.1) ? `${v()} ${op} ${c}` : `${c} ${op} ${v()}`;
}

function query(r: Random): string {
  const where = r.chance(0.9) ? ` WHERE ${condition(r)}` : '';
  const dice = r.next();
  if (dice < 0.1) {
    return `SELECT count(*), min(id), max(n) FROM {T}${where}`;
  }
  if (dice < 0.15) {
    return `SELECT k, count(*) FROM {T}${where} GROUP BY k ORDER BY k`;
  }
  if (dice < 0.2) {
    return `SELECT a.id, b.id FROM {T} AS a ${r.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'])} {T} AS b ON a.id = b.u AND b.n = ${values.n(r)} ` +
      `WHERE a.k = ${values.k(r)} OR b.id < ${values.id(r)} ORDER BY 1, 2`;
  }
  const keys: string[] = [];
  for (let i = r.range(0, 3); i > 0; i--) {
    const key = r.pick(columns.filter((c) => c !== '_seq'));
    keys.push(key + r.pick(['', ' DESC']) + r.pick(['', '', '', ' NULLS FIRST', ' NULLS LAST']));
  }
  keys.push(`id${r.pick(['', ' DESC'])}`);
  const limit = r.chance(0.6) ? ` LIMIT ${r.range(0, 12)}` : '';
  return `SELECT id, k, n, f, m, d, ts, u, o FROM {T}${where} ORDER BY ${keys.join(', ')}${limit}${r.chance(0.2) ? ` OFFSET ${r.range(0, 5)}` : ''}`;
}

function change(r: Random): string {
  const dice = r.next();
  if (dice < 0.5) {
    const rows = Array.from({ length: r.range(1, 5) }, () => {
      const id = values.id(r);
      const row = columns
        .filter((c) => c !== '_seq')
        .map((c) => (c !== 'id' && c !== 'ts' && r.chance(0.15) ? 'NULL' : c === 'id' || c === 'u' ? id : stored[c](r)));
      return `(${row.join(', ')})`;
    });
    return `INSERT INTO {T} VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING`;
  }
  if (dice < 0.85) {
    const c = r.pick(columns.filter((x) => x !== 'id' && x !== '_seq' && x !== 'u'));
    return `UPDATE {T} SET ${c} = ${stored[c](r)} WHERE ${condition(r)}`;
  }
  return `DELETE FROM {T} WHERE id = ${values.id(r)} OR (n = ${stored.n(r)} AND o)`;
}

// Without what differs by nature: the time that it took, the names.
const essence = (reply: Reply) =>
  JSON.stringify(reply.status === 'error' ? reply.error!.code : reply.results!.map((x) => [x.rows ?? null, x.row_count, x.message]));

let answered = 0;
async function both(c: Client, sql: string): Promise<void> {
  const [indexed, bare] = [await c.sql(sql.replaceAll('{T}', 'x.t')), await c.sql(sql.replaceAll('{T}', 'x.bare'))];
  answered += indexed.status === 'success' ? 1 : 0;
  assert.equal(essence(indexed), essence(bare), `${sql}\n${indexed.error?.message ?? ''}\n${bare.error?.message ?? ''}`);
}

test('a table with indexes answers as one without', async () => {
  const r = seeded('indexes');
  for (const c of clients) {
    for (let i = 0; i < 60; i++) {
      await both(c, change(r));
    }
  }
  for (let i = 0; i < scaled(600); i++) {
    const c = r.pick(clients);
    await both(c, r.chance(0.15) ? change(r) : query(r));
  }
  assert.ok(answered > scaled(600) * 0.7, `only ${answered} statements had an answer`);
});

test('an index made late has what was there and what came meanwhile', async () => {
  const c = server.root();
  await c.message('CREATE TABLE x.late (id BIGINT PRIMARY KEY, n INT)');
  await c.message(`INSERT INTO x.late VALUES ${Array.from({ length: 2000 }, (_, i) => `(${i}, ${i % 10})`).join(', ')}`);
  const made = c.message('CREATE INDEX late_n ON x.late (n)');
  for (let i = 2000; i < 2050; i++) {
    await c.message(`INSERT INTO x.late VALUES (${i}, ${i % 10})`);
  }
  await made;
  let plan = '';
  for (let i = 0; i < 100 && !plan.includes('index late_n'); i++) {
    plan = JSON.stringify((await c.sql('EXPLAIN SELECT id FROM x.late WHERE n = 3')).results);
    await sleep(50);
  }
  assert.match(plan, /index late_n: n = 3/);
  const reply = await c.sql('SELECT id FROM x.late WHERE n = 3');
  assert.equal(reply.results![0].row_count, 205);
});
