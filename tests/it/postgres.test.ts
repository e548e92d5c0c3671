// Three answers to one statement: random schemas, rows and statements run here (once as the server chooses, once all in DuckDB) and on
// PostgreSQL 15. Values, types, number of rows and errors have to agree, but for what docs/differences.md lists.
//
// KL_IT_SEED repeats a run, KL_DIFF_STATEMENTS says how long it is, KL_IT_ALL prints everything that differs. Skipped, with the reason, where there
// is no PostgreSQL.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client, Reply } from './lib/http.js';
import { Postgres, type PgClient, type PgReply } from './lib/pg.js';
import { compare, type Verdict } from './lib/pgcompare.js';
import { Generator, forKalam, forPg, type Statement, type Table } from './lib/pgrandom.js';
import { scaled, seeded, Random } from './lib/random.js';
import { Server } from './lib/server.js';

const missing = Postgres.missing();
const total = Number(process.env.KL_DIFF_STATEMENTS ?? scaled(3000));
const perRound = 150;
const lanes = 3;

let servers: Server[] = [];
let postgres: Postgres;
before(async () => {
  if (missing === undefined) {
    [postgres, ...servers] = await Promise.all([Postgres.start(), ...['auto', 'duckdb'].map((e) => Server.start({ config: { 'execution.executor': e } }))]);
  }
});
after(async () => {
  await Promise.all([postgres?.stop(), ...servers.map((s) => s.stop())]);
});

const executors = ['auto', 'duckdb'];
const counts = { statements: 0, same: 0, error: 0, refused: 0, lazy: 0, unsupported: 0, different: 0, lost: 0 };
const reasons = new Map<string, number>();
const differences = new Map<string, { count: number; example: string }>(); // by what they are about

// One lane: its own namespace and schema, emptied and filled anew each round.
class Lane {
  private readonly clients: Client[];
  private tables: Table[] = [];
  private generator!: Generator;
  private next = 1000;
  constructor(
    private readonly name: string,
    private readonly random: Random,
    private readonly pg: PgClient,
  ) {
    this.clients = servers.map((s) => s.root());
  }
  async open(): Promise<void> {
    await Promise.all(this.clients.map((c) => c.message(`CREATE NAMESPACE ${this.name}`)));
    await this.pg.ok(`CREATE SCHEMA ${this.name}; SET search_path = ${this.name}`);
  }
  private async everywhere(sql: string): Promise<void> {
    await Promise.all([...this.clients.map((c) => c.ok(forKalam(sql), undefined, this.name)), this.pg.ok(forPg(sql))]);
  }
  async round(statements: number): Promise<void> {
    this.generator = new Generator(this.random, this.random.chance(0.3) ? 0.15 : 0);
    const tables = Array.from({ length: this.random.range(1, 3) }, (_, i) => this.generator.table(`t${i}`));
    for (const t of tables) {
      const create = this.generator.create(t);
      const kind = this.random.pick([" WITH (TYPE = 'USER')", " WITH (TYPE = 'SHARED')"]);
      await Promise.all([...this.clients.map((c) => c.ok(create + kind, undefined, this.name)), this.pg.ok(create)]);
      const rows = this.random.pick([0, 1, 5, 12, 25]);
      if (rows > 0) {
        await this.everywhere(this.generator.rows(t, 1, rows));
      }
    }
    this.tables = tables;
    for (let i = 0; i < statements; i++) {
      if (!(await this.statement())) {
        break; // the three no longer hold the same rows
      }
    }
    for (const t of tables) {
      await this.everywhere(`DROP TABLE ${t.name}`);
    }
  }
  // False when the round cannot go on.
  private async statement(): Promise<boolean> {
    const choice = this.random.next();
    if (choice < 0.08) {
      return await this.write(this.generator.write(this.tables, () => this.next++));
    }
    const single = choice < 0.35;
    const s = single ? this.generator.single(this.random.pick(this.tables), this.random.range(1, 12)) : this.generator.select(this.tables, choice < 0.55 ? 0 : 2);
    const [kalam, pg] = [forKalam(s.sql), forPg(s.sql)];
    const [theirs, ...mine] = await Promise.all([this.pg.query(pg), ...this.clients.map((c) => c.sql(kalam, undefined, this.name))]);
    const planning = single && theirs.error !== undefined && (await this.pg.query(`EXPLAIN ${pg}`)).error !== undefined;
    mine.forEach((reply, i) => this.count(s, executors[i], compare(reply, theirs, { strict: single, sorted: s.sorted, sql: pg, planning })));
    return true;
  }
  private count(s: Statement, executor: string, verdict: Verdict): void {
    counts.statements += executor === executors[0] ? 1 : 0;
    counts[verdict.kind]++;
    if (verdict.kind === 'unsupported') {
      reasons.set(verdict.reason, (reasons.get(verdict.reason) ?? 0) + 1);
    } else if (verdict.kind === 'different') {
      const about = /^row/.test(verdict.what) && process.env.KL_IT_ALL ? `${counts.different}` : verdict.what.replace(/"[^"]*"|\d+/g, '*').replace(/(result|row \*:) .*/, '$1').slice(0, 120);
      const example = `${executor}: ${forKalam(s.sql)}\n    ${verdict.what}`;
      const known = differences.get(about);
      differences.set(about, { count: (known?.count ?? 0) + 1, example: known !== undefined && known.example.length <= example.length ? known.example : example });
    }
  }
  // What is not supported here does not reach PostgreSQL. After it the whole table is compared.
  private async write(s: Statement): Promise<boolean> {
    const mine: Reply[] = await Promise.all(this.clients.map((c) => c.sql(forKalam(s.sql), undefined, this.name)));
    const failed = mine.map((r) => (r.status === 'error' ? r.error!.message : undefined));
    const none: PgReply = { columns: [], rows: [], tag: '' };
    const refusal = failed[0] === undefined ? undefined : compare(mine[0], none, { strict: true, sorted: false, sql: s.sql });
    if (refusal?.kind === 'unsupported' && failed[1] !== undefined) {
      this.count(s, executors[0], refusal);
      return true;
    }
    const theirs = await this.pg.query(forPg(s.sql));
    const verdicts = mine.map((r) => compare(r, theirs, { strict: false, sorted: s.sorted, sql: s.sql }));
    verdicts.forEach((v, i) => this.count(s, executors[i], v));
    // An error on one side only: whose time no one promises, or a difference that is counted.
    if (failed.some((f) => (f === undefined) !== (theirs.error === undefined))) {
      counts.lost++;
      return false;
    }
    return await this.contents(s);
  }
  private async contents(s: Statement): Promise<boolean> {
    const table = this.tables.find((t) => t.name === s.writes)!;
    const sql = `SELECT ${table.columns.map((c) => c.name).join(', ')} FROM ${table.name}`;
    const [theirs, ...mine] = await Promise.all([this.pg.query(sql), ...this.clients.map((c) => c.sql(sql, undefined, this.name))]);
    const verdicts = mine.map((r) => compare(r, theirs, { strict: true, sorted: false, sql }));
    verdicts.forEach((v, i) => v.kind === 'different' && this.count({ ...s, sql: `${s.sql}\n    ${sql}` }, executors[i], v));
    return verdicts.every((v) => v.kind === 'same');
  }
}

test('random statements mean what they mean in PostgreSQL', { skip: missing, timeout: 3_600_000 }, async () => {
  const random = seeded('postgres', 2026); // KL_IT_SEED=random looks for more
  const all = Array.from({ length: lanes }, (_, i) => ({ name: `lane${i}`, random: new Random(random.int(2 ** 31)) }));
  await Promise.all(
    all.map(async ({ name, random: own }) => {
      const lane = new Lane(name, own, await postgres.connect());
      await lane.open();
      for (let left = Math.ceil(total / lanes); left > 0; left -= perRound) {
        await lane.round(Math.min(left, perRound));
      }
    }),
  );
  console.log(Object.entries(counts).map(([k, n]) => `${n} ${k}`).join(', '));
  console.log([...reasons].sort((a, b) => b[1] - a[1]).slice(0, 25).map(([w, n]) => `${n} ${w}`).join('\n'));
  const found = [...differences.values()].sort((a, b) => b.count - a.count).map((d) => `${d.count} times: ${d.example}`);
  if (process.env.KL_IT_ALL) {
    console.log(found.join('\n'));
  }
  assert.ok(counts.same > counts.statements, `${counts.same} answers of ${2 * counts.statements} are alike: too wild to tell anything`);
  assert.equal(counts.different, 0, `${counts.different} answers differ, among them:\n${found.slice(0, 25).join('\n')}`);
});
