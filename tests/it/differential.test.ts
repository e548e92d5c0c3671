// Two executors, one meaning: the same random single-table statements on a server that runs everything natively and on one that runs
// everything in DuckDB. Results, types and error-or-not have to agree. What the native executor does not take is counted; it
// must stay the exception. KL_IT_SEED repeats a run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client, Reply } from './lib/http.js';
import { scaled, seeded, type Random } from './lib/random.js';
import { Server } from './lib/server.js';

let nativeServer: Server;
let duckServer: Server;
let native: Client;
let duck: Client;

const columns: Record<string, string[]> = {
  int: ['i', 's', 'b', 'id'],
  num: ['d', 'f'],
  dec: ['m'],
  text: ['t', 'u'],
  bool: ['o', 'p'],
  date: ['dt'],
  ts: ['ts'],
};
before(async () => {
  [nativeServer, duckServer] = await Promise.all(['native', 'duckdb'].map((e) => Server.start({ config: { 'execution.executor': e } })));
  [native, duck] = [nativeServer.root(), duckServer.root()];
  const random = seeded('differential data');
  const texts = ['a', 'B', 'b', 'abc', 'a%c', 'a_c', '', ' ', 'Zz', '\u00e4', '\u4e2d\u6587', '10', '-1', 'NULL', "it's", '\ud83d\ude00x', 'a\\b', 'tab\there'];
  const or = (value: () => string) => (random.chance(0.15) ? 'NULL' : value());
  const quote = (t: string) => `'${t.replaceAll("'", "''")}'`;
  const row = (id: number) =>
    [
      String(id),
      or(() => String(random.pick([0, 1, -1, 2, 3, 7, 100, 2147483647, -2147483648]))),
      or(() => String(random.pick([0, 1, -5, 32767, -32768, 10]))),
      or(() => String(random.pick(['0', '1', '-3', '9223372036854775807', '-9223372036854775808', '1000000007']))),
      or(() => String(random.pick([0, 0.5, -1.25, 3.14159, 1e10, -1e-5, 2.5, 100]))),
      or(() => String(random.pick([0, 0.5, -1.25, 2.5, 1e5]))),
      or(() => String(random.pick(['0', '1.50', '-0.05', '99999.99', '12.34', '2.50']))),
      or(() => quote(random.pick(texts))),
      or(() => quote(random.pick(texts))),
      or(() => random.pick(['TRUE', 'FALSE'])),
      or(() => random.pick(['TRUE', 'FALSE'])),
      or(() => quote(random.pick(['1970-01-01', '2026-02-28', '2024-02-29', '1999-12-31', '0002-03-04']))),
      or(() => quote(random.pick(['1970-01-01 00:00:00', '2026-01-02 03:04:05.123456', '1969-12-31 23:59:59.999999', '2024-02-29 12:00:00']))),
    ].join(', ');
  const rows = Array.from({ length: 40 }, (_, i) => `(${row(i)})`).join(', ');
  for (const c of [native, duck]) {
    await c.message('CREATE NAMESPACE x');
    await c.message("CREATE TABLE x.t (id INT PRIMARY KEY, i INT, s SMALLINT, b BIGINT, d DOUBLE, f FLOAT, m DECIMAL(10,2), t TEXT, u TEXT, o BOOLEAN, p BOOLEAN, dt DATE, ts TIMESTAMP) WITH (TYPE='USER')");
    await c.message(`INSERT INTO x.t VALUES ${rows}`);
  }
});
after(async () => {
  await Promise.all([nativeServer.stop(), duckServer.stop()]);
});

class Generator {
  constructor(private readonly r: Random) {}
  private column(kind: string): string {
    return this.r.pick(columns[kind]);
  }
  int(depth: number): string {
    const r = this.r;
    if (depth <= 0 || r.chance(0.3)) {
      return r.chance(0.6) ? this.column('int') : r.pick(['0', '1', '2', '-3', '7', '100', '2147483647', 'NULL::INT', '1000000007']);
    }
    switch (r.int(12)) {
      case 0: case 1:
        return `(${this.int(depth - 1)} ${r.pick(['+', '-', '*'])} ${this.int(depth - 1)})`;
      case 2:
        return `(${this.int(depth - 1)} ${r.pick(['/', '%'])} ${this.int(depth - 1)})`;
      case 3:
        return `abs(${this.int(depth - 1)})`;
      case 4:
        return `COALESCE(${this.int(depth - 1)}, ${this.int(depth - 1)})`;
      case 5:
        return `NULLIF(${this.int(depth - 1)}, ${this.int(depth - 1)})`;
      case 6:
        return `CASE WHEN ${this.bool(depth - 1)} THEN ${this.int(depth - 1)} ELSE ${this.int(depth - 1)} END`;
      case 7:
        return `length(${this.text(depth - 1)})`;
      case 8:
        return `(-${this.int(depth - 1)})`;
      case 9:
        return `CAST(${this.num(depth - 1)} AS ${r.pick(['INT', 'BIGINT', 'SMALLINT'])})`;
      case 10:
        return `CAST(${this.int(depth - 1)} AS ${r.pick(['INT', 'BIGINT', 'SMALLINT'])})`;
      default:
        return `strpos(${this.text(depth - 1)}, ${this.text(0)})`;
    }
  }
  num(depth: number): string {
    const r = this.r;
    if (depth <= 0 || r.chance(0.3)) {
      return r.chance(0.6) ? this.column('num') : r.pick(['0.5::DOUBLE', '1e3::DOUBLE', '-2.5::DOUBLE', 'NULL::DOUBLE', '0::DOUBLE']);
    }
    switch (r.int(7)) {
      case 0: case 1:
        return `(${this.num(depth - 1)} ${r.pick(['+', '-', '*'])} ${this.num(depth - 1)})`;
      case 2:
        return `(${this.num(depth - 1)} / ${this.num(depth - 1)})`;
      case 3:
        return `${r.pick(['abs', 'floor', 'ceil', 'round', 'sign', 'trunc'])}(${this.num(depth - 1)})`;
      case 4:
        return `CAST(${r.pick([this.int(depth - 1), this.dec(depth - 1)])} AS DOUBLE)`;
      case 5:
        return `COALESCE(${this.num(depth - 1)}, ${this.num(depth - 1)})`;
      default:
        return `CASE WHEN ${this.bool(depth - 1)} THEN ${this.num(depth - 1)} END`;
    }
  }
  dec(depth: number): string {
    const r = this.r;
    if (depth <= 0 || r.chance(0.4)) {
      return r.chance(0.7) ? 'm' : r.pick(['1.5', '-0.25', '0.0', '10.00']);
    }
    switch (r.int(4)) {
      case 0:
        return `(${this.dec(depth - 1)} ${r.pick(['+', '-', '*'])} ${this.dec(depth - 1)})`;
      case 1:
        return `abs(${this.dec(depth - 1)})`;
      case 2:
        return `CAST(${this.int(depth - 1)} AS DECIMAL(20,3))`;
      default:
        return `COALESCE(${this.dec(depth - 1)}, m)`;
    }
  }
  text(depth: number): string {
    const r = this.r;
    if (depth <= 0 || r.chance(0.35)) {
      return r.chance(0.6) ? this.column('text') : r.pick(["'a'", "''", "'%'", "'\u00e4'", "'b'", 'NULL::TEXT', "'a_c'"]);
    }
    switch (r.int(10)) {
      case 0:
        return `(${this.text(depth - 1)} || ${this.text(depth - 1)})`;
      case 1:
        return `${r.pick(['lower', 'upper', 'trim', 'reverse', 'ltrim', 'rtrim'])}(${this.text(depth - 1)})`;
      case 2:
        return `substr(${this.text(depth - 1)}, ${r.range(-1, 4)}${r.chance(0.5) ? `, ${r.range(0, 4)}` : ''})`;
      case 3:
        return `replace(${this.text(depth - 1)}, ${this.text(0)}, 'x')`;
      case 4:
        return `COALESCE(${this.text(depth - 1)}, ${this.text(depth - 1)})`;
      case 5:
        return `CASE WHEN ${this.bool(depth - 1)} THEN ${this.text(depth - 1)} ELSE ${this.text(depth - 1)} END`;
      case 6:
        return `CAST(${r.pick([this.int(depth - 1), this.column('bool'), 'dt', 'ts', 'm'])} AS TEXT)`;
      case 7:
        return `${r.pick(['left', 'right'])}(${this.text(depth - 1)}, ${r.range(-2, 4)})`;
      case 8:
        return `lpad(${this.text(depth - 1)}, ${r.range(0, 6)}, '*')`;
      default:
        return `concat(${this.text(depth - 1)}, ${this.int(depth - 1)})`;
    }
  }
  private ordered(depth: number): string {
    return this.r.pick([() => this.int(depth), () => this.num(depth), () => this.text(depth), () => this.dec(depth), () => this.temporal()])();
  }
  private any(depth: number): string {
    return this.r.pick([() => this.int(depth), () => this.num(depth), () => this.text(depth), () => this.bool(depth), () => this.dec(depth), () => this.temporal()])();
  }
  private temporal(): string {
    return this.r.pick(['dt', 'ts', "DATE '2026-01-31'", "date_trunc('month', ts)", "ts + INTERVAL '1 day'", 'dt + 1', 'dt - 30', "ts - INTERVAL '1 month'", 'CAST(ts AS DATE)', 'CAST(dt AS TIMESTAMP)']);
  }
  bool(depth: number): string {
    const r = this.r;
    if (depth <= 0 || r.chance(0.15)) {
      return r.pick(['o', 'p', 'TRUE', 'FALSE', 'NULL::BOOLEAN', 'i IS NULL', 'o']);
    }
    const compare = () => r.pick(['=', '<>', '<', '<=', '>', '>=']);
    switch (r.int(14)) {
      case 0: case 1:
        return `(${this.bool(depth - 1)} ${r.pick(['AND', 'OR'])} ${this.bool(depth - 1)})`;
      case 2:
        return `NOT (${this.bool(depth - 1)})`;
      case 3: case 4:
        return `${this.int(depth - 1)} ${compare()} ${this.int(depth - 1)}`;
      case 5:
        return `${this.num(depth - 1)} ${compare()} ${r.pick([this.num(depth - 1), this.int(depth - 1)])}`;
      case 6:
        return `${this.text(depth - 1)} ${compare()} ${this.text(depth - 1)}`;
      case 7:
        return `${this.text(depth - 1)} ${r.pick(['LIKE', 'NOT LIKE', 'ILIKE'])} ${r.pick(["'a%'", "'%b%'", "'_'", "'a\\%c'", "''", "'%'", this.text(0), "'%\u4e2d%'"])}`;
      case 8:
        return `${this.int(depth - 1)} ${r.pick(['', 'NOT '])}IN (${this.int(0)}, ${this.int(0)}${r.chance(0.3) ? ', NULL' : ''})`;
      case 9:
        return `${this.any(depth - 1)} IS ${r.pick(['', 'NOT '])}NULL`;
      case 10:
        return `${this.int(depth - 1)} ${r.pick(['', 'NOT '])}BETWEEN ${this.int(0)} AND ${this.int(0)}`;
      case 11:
        return `${this.bool(depth - 1)} IS ${r.pick(['', 'NOT '])}${r.pick(['TRUE', 'FALSE', 'UNKNOWN'])}`;
      case 12:
        return `${this.temporal()} ${compare()} ${this.temporal()}`;
      default:
        return `${this.int(depth - 1)} IS ${r.pick(['', 'NOT '])}DISTINCT FROM ${this.int(depth - 1)}`;
    }
  }
  statement(): string {
    const r = this.r;
    const where = r.chance(0.7) ? ` WHERE ${this.bool(3)}` : '';
    if (r.chance(0.2)) {
      const aggregate = () =>
        r.pick([
          () => 'COUNT(*)', () => `COUNT(${this.any(1)})`, () => `SUM(${r.pick(['i', 's', 'b', 'm', 'd', this.int(1)])})`, () => `MIN(${this.ordered(1)})`, () => `MAX(${this.ordered(1)})`, () => `AVG(${r.pick(['d', this.num(1)])})`,
        ])();
      return `SELECT ${Array.from({ length: r.range(1, 3) }, aggregate).join(', ')} FROM x.t${where}`;
    }
    const list = r.chance(0.15) ? '*' : ['id', ...Array.from({ length: r.range(1, 3) }, (_, k) => `${this.any(3)} AS c${k}`)].join(', ');
    const order = r.chance(0.5) ? `${r.pick([this.column('int'), this.column('text'), 'd', 'dt', 'o', this.int(1)])}${r.pick(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}, id` : `id${r.pick(['', ' DESC'])}`;
    const limit = r.chance(0.3) ? ` LIMIT ${r.int(10)}${r.chance(0.5) ? ` OFFSET ${r.int(10)}` : ''}` : '';
    return `SELECT ${list.replace(/^\*$/, 'id, i, s, b, d, f, m, t, u, o, p, dt, ts')} FROM x.t${where} ORDER BY ${order}${limit}`;
  }
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return a === b || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
  }
  return a === b;
}
// Whether an error that one side meets may be one that the other rightly never looks for: rows past a LIMIT, arms not taken, operands
// that a constant NULL makes irrelevant. Values are compared all the same.
function lazy(sql: string): boolean {
  return /NULL::|, NULL|LIMIT|AND|OR |CASE|COALESCE| IN \(|NULLIF/.test(sql);
}
// docs/differences.md, "Errors inside comparisons": DuckDB rewrites `CAST(b AS INT) <= 2` and `i + 2147483647 <> 0` so that the
// number is never computed; only its range error may be missing, and only there.
function rewritten(sql: string, native: string | undefined, duckdb: string | undefined): boolean {
  return duckdb === undefined && /(smallint|integer|bigint) out of range/.test(native ?? '') && /(=|<>|[<>]=?|BETWEEN|IN \(|DISTINCT FROM)/.test(sql);
}
function difference(sql: string, a: Reply, b: Reply): string | undefined {
  const errors = [a, b].map((r) => (r.status === 'error' ? JSON.stringify(r.error!.message) : undefined));
  if (errors[0] !== undefined || errors[1] !== undefined) {
    const runtime = [a, b].every((r) => r.status === 'success' || r.error!.message.startsWith('Statement 1 failed: '));
    return (errors[0] !== undefined && errors[1] !== undefined) || (runtime && (lazy(sql) || rewritten(sql, errors[0], errors[1]))) ? undefined : `native: ${errors[0] ?? 'result'}; duckdb: ${errors[1] ?? 'result'}`;
  }
  const [x, y] = [a.results[0], b.results[0]];
  const types = (r: typeof x) => r.schema!.map((c) => [c.name, c.data_type]);
  if (JSON.stringify(types(x)) !== JSON.stringify(types(y))) {
    return `types: native ${JSON.stringify(types(x))}; duckdb ${JSON.stringify(types(y))}`;
  }
  if (x.rows!.length !== y.rows!.length) {
    return `native ${x.rows!.length} rows, duckdb ${y.rows!.length}`;
  }
  const at = x.rows!.findIndex((row, i) => !row.every((v, k) => same(v, y.rows![i][k])));
  return at < 0 ? undefined : `row ${at}: native ${JSON.stringify(x.rows![at])}; duckdb ${JSON.stringify(y.rows![at])}`;
}

// What random statements have found, one by one; `wanted` is what PostgreSQL 15 answers, `error` for an error.
const settled: [sql: string, wanted: unknown[][] | 'error'][] = [
  ['SELECT i % s FROM x.e ORDER BY id', [[null], ['1']]], // NULL % 0 is NULL
  ['SELECT d / f FROM x.e ORDER BY id', [[null], [0.5]]],
  ['SELECT m / s FROM x.e WHERE id = 1', [[null]]],
  ['SELECT round(0.5::DOUBLE), round(1.5::DOUBLE), round(2.5::DOUBLE)', [[0, 2, 2]]], // to even
  ['SELECT round(h) FROM x.e ORDER BY id', [[0], [2]]],
  ['SELECT AVG(j), AVG(n) FROM x.e', [['1.5000000000000000', '1.5000000000000000']]],
  ['SELECT m / 3 FROM x.e WHERE id = 2', [['0.5000000000000000']]],
  ['SELECT SUM(m) / 3 FROM x.e', [['0.5000000000000000']]],
  ['SELECT COALESCE(1.5, n) FROM x.e WHERE id = 1', [['1.50']]], // exactly as many digits as its type says
  ['SELECT MAX(COALESCE(1.5, n)) FROM x.e', [['1.50']]],
  ['SELECT n * 1.5, n * n FROM x.e WHERE id = 1', [['1.500', '1.0000']]],
  ['SELECT COALESCE(abs(w), w) * ((w + w) * abs(w)) FROM x.e WHERE id = 1', [['1999999400000059.999998']]],
  ['SELECT MIN(o) FROM x.e', 'error'], // no such function
  ['SELECT id, CAST(id AS DOUBLE) FROM x.e ORDER BY id', 'error'], // ambiguous
  ["SELECT DATE '0001-01-01' - 30", 'error'], // the types begin with the year 1
  ['SELECT 5e-324::DOUBLE, 1.7976931348623157e308::DOUBLE, 3.4e38::FLOAT > 1', [[5e-324, 1.7976931348623157e308, true]]],
];
test('what was found once', async (t) => {
  for (const c of [native, duck]) {
    await c.message("CREATE TABLE x.e (id INT PRIMARY KEY, i BIGINT, s INT, d DOUBLE, f DOUBLE, m DECIMAL(10,2), h DOUBLE, j INT, n DECIMAL(10,2), w DECIMAL(10,2), o BOOLEAN) WITH (TYPE='USER')");
    await c.message('INSERT INTO x.e VALUES (1, NULL, 0, NULL, 0, NULL, 0.5, 1, 1, 99999.99, TRUE), (2, 3, 2, 1, 2, 1.5, 2.5, 2, 2, NULL, FALSE)');
  }
  for (const [sql, wanted] of settled) {
    for (const [name, client] of [['native', native], ['duckdb', duck]] as const) {
      await t.test(`${name}: ${sql}`, async () => {
        const reply = await client.sql(sql);
        if (wanted === 'error') {
          assert.equal(reply.status, 'error', JSON.stringify(reply.results));
        } else {
          assert.deepEqual(reply.results[0]?.rows, wanted, `${JSON.stringify(reply.error)} ${JSON.stringify(reply.results[0]?.schema?.map((c) => c.data_type))}`);
        }
      });
    }
  }
});

test('native and DuckDB agree', { timeout: 300_000 }, async () => {
  const random = seeded('differential');
  const generator = new Generator(random);
  const total = scaled(2500);
  let skipped = 0;
  let failed = 0;
  const why = new Map<string, number>();
  const differences: string[] = [];
  const run = async () => {
    for (;;) {
      if (started++ >= total) {
        return;
      }
      const sql = generator.statement();
      const [a, b] = await Promise.all([native.sql(sql), duck.sql(sql)]);
      if (a.status === 'error' && /needs the analytical executor|not available natively/.test(a.error!.message)) {
        skipped++;
        const text = a.error!.message.replace(/^Statement 1 failed: /, '');
        why.set(text, (why.get(text) ?? 0) + 1);
        continue;
      }
      const what = difference(sql, a, b);
      if (what !== undefined) {
        differences.push(`${sql}\n    ${what}`);
      } else if (a.status === 'error') {
        failed++;
      }
    }
  };
  let started = 0;
  await Promise.all(Array.from({ length: 4 }, run));
  console.log(`${total} statements: ${skipped} not native, ${failed} errors on both sides, ${differences.length} differ`);
  console.log([...why].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([w, n]) => `${n} ${w}`).join('\n'));
  if (process.env.KL_IT_ALL) {
    console.log(differences.join('\n'));
  }
  assert.ok(skipped < total * 0.2, `${skipped} of ${total} statements are not native`);
  assert.ok(failed < total * 0.4, `${failed} of ${total} statements are errors: too wild to tell anything`);
  assert.equal(differences.length, 0, `${differences.length} statements differ, among them:\n${differences.sort((a, b) => a.length - b.length).slice(0, 25).join('\n')}`);
});
