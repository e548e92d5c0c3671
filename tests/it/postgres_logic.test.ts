// Answers that have to follow from each other, without a reference (but with the generator that the comparison with PostgreSQL
// uses). TLP: a query's rows are those of WHERE p, of WHERE NOT p and of WHERE p IS NULL together; so are its counts, sums, extremes and
// distinct values. NoREC: as many rows pass WHERE p, where indexes and rewriting may help, as p is true for when it is only
// computed. Both executors. KL_IT_SEED repeats a run, KL_LOGIC_CHECKS says how long it is.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client } from './lib/http.js';
import { Generator, forKalam, type Kind, type Table } from './lib/pgrandom.js';
import { scaled, seeded } from './lib/random.js';
import { Server } from './lib/server.js';

const total = Number(process.env.KL_LOGIC_CHECKS ?? scaled(300));
const executors = ['auto', 'duckdb'];
let servers: Server[] = [];
before(async () => {
  servers = await Promise.all(executors.map((e) => Server.start({ config: { 'execution.executor': e } })));
});
after(async () => {
  await Promise.all(servers.map((s) => s.stop()));
});

// What a run gave: its rows in an order of their own; undefined when it is an error, which parts may meet and the whole not.
async function rows(client: Client, sql: string): Promise<string[] | undefined> {
  const reply = await client.sql(forKalam(sql), undefined, 'l');
  return reply.status === 'success' ? reply.results[0].rows!.map((r) => JSON.stringify(r)).sort() : undefined;
}
const exact: Kind[] = ['int2', 'int4', 'int8', 'num', 'text', 'bool', 'date', 'ts', 'time', 'uuid'];

type Check = { all: string; parts: string[]; merge: 'bag' | 'set' | 'sum' | 'min' | 'max' };
function checks(t: Table, p: string, columns: string, c: string, number: string): Check[] {
  const parts = (head: string) => ['', 'NOT ', ''].map((not, i) => `${head} FROM ${t.name} WHERE ${i === 2 ? `(${p}) IS NULL` : `${not}(${p})`}`);
  const check = (head: string, merge: Check['merge']): Check => ({ all: `${head} FROM ${t.name}`, parts: parts(head), merge });
  return [
    check(`SELECT ${columns}`, 'bag'), check(`SELECT DISTINCT ${c}`, 'set'), check('SELECT COUNT(*)', 'sum'), check(`SELECT COUNT(${c})`, 'sum'), check(`SELECT SUM(${number})`, 'sum'), check(`SELECT MIN(${number})`, 'min'), check(`SELECT MAX(${number})`, 'max'),
    { all: `SELECT COUNT(*) FROM ${t.name} WHERE ${p}`, parts: [`SELECT SUM(CASE WHEN ${p} THEN 1 ELSE 0 END) FROM ${t.name}`], merge: 'sum' },
  ];
}
function merged(parts: string[][], merge: Check['merge']): string[] {
  const all = parts.flat().sort();
  if (merge === 'bag') {
    return all;
  }
  if (merge === 'set') {
    return [...new Set(all)];
  }
  const values = all.map((r) => (JSON.parse(r) as [string | number | null])[0]).filter((v) => v !== null).map((v) => BigInt(v!));
  const of = { sum: () => values.reduce((a, b) => a + b, 0n), min: () => values.reduce((a, b) => (a < b ? a : b)), max: () => values.reduce((a, b) => (a > b ? a : b)) };
  return values.length === 0 ? [] : [String(of[merge]())];
}
function whole(answer: string[], merge: Check['merge']): string[] {
  if (merge === 'bag' || merge === 'set') {
    return answer;
  }
  const value = (JSON.parse(answer[0]) as [string | number | null])[0];
  return value === null ? [] : [String(value)];
}

test('TLP and NoREC', { timeout: 1_200_000 }, async () => {
  const random = seeded('logic');
  const clients = servers.map((s) => s.root());
  await Promise.all(clients.map((c) => c.message('CREATE NAMESPACE l')));
  const wrong: string[] = [];
  let done = 0;
  let skipped = 0;
  for (let round = 0; done + skipped < total; round++) {
    const generator = new Generator(random, 0);
    const t = generator.table(`t${round}`);
    const create = generator.create(t);
    for (const c of clients) {
      await c.ok(`${create} WITH (TYPE = '${round % 2 ? 'USER' : 'SHARED'}')`, undefined, 'l');
    }
    const fill = forKalam(generator.rows(t, 1, random.pick([3, 20, 60])));
    for (const c of clients) {
      await c.ok(fill, undefined, 'l');
    }
    for (let i = 0; i < 15 && done + skipped < total; i++) {
      const p = generator.predicate(t);
      const columns = t.columns.map((c) => c.name).join(', ');
      const c = random.pick(t.columns.filter((x) => exact.includes(x.kind))).name;
      const number = random.pick(t.columns.filter((x) => ['int2', 'int4', 'int8'].includes(x.kind))).name;
      for (const check of checks(t, p, columns, c, number)) {
        await Promise.all(
          clients.map(async (client, k) => {
            const answers = await Promise.all([check.all, ...check.parts].map((sql) => rows(client, sql)));
            if (answers.some((a) => a === undefined)) {
              skipped += 1 / (2 * 8);
              return;
            }
            done += 1 / (2 * 8);
            const [all, ...parts] = answers as string[][];
            const [want, have] = [whole(all, check.merge), merged(parts, check.merge)];
            // COUNT gives 0 where there is nothing, SUM gives NULL.
            const zero = (v: string[]) => (v.length === 1 && v[0] === '0' ? [] : v);
            if (JSON.stringify(zero(want)) !== JSON.stringify(zero(have))) {
              wrong.push(`${executors[k]}: ${forKalam(check.all)}\n    ${check.parts.map(forKalam).join('\n    ')}\n    ${want.slice(0, 3)} | ${have.slice(0, 3)}`);
            }
          }),
        );
      }
    }
    await Promise.all(clients.map((c) => c.ok(`DROP TABLE t${round}`, undefined, 'l')));
  }
  console.log(`${Math.round(done)} predicates checked in eight ways on both executors, ${Math.round(skipped)} left out for errors, ${wrong.length} contradictions`);
  assert.ok(skipped < total * 0.3, `${skipped} of ${total} are errors: too wild to tell anything`);
  assert.equal(wrong.length, 0, `${wrong.length} contradictions, among them:\n${wrong.sort((a, b) => a.length - b.length).slice(0, 10).join('\n')}`);
});
