// Runs the .slt files of this folder (sqllogictest's format) over HTTP and ends with "N passed, N failed".
//
//   tsx tests/sql/run.ts [file.slt ...]
//
// Every file gets a fresh server and runs as root; once with the executor that the server chooses, once with every SELECT in DuckDB
// (KL_SQL_EXECUTORS=auto,duckdb). Records:
//
//   statement ok                      must succeed
//   statement error [regex]           must fail, with this in "CODE: message"
//   statement count N                 must succeed and touch N rows
//   query TYPES [nosort|rowsort|valuesort] [label]
//   SELECT ...
//   ----
//   expected                          one value a line, or one row a line with values separated by one space
//
// TYPES holds a letter a column: I integer, R number (three digits after the point), T text. NULL is NULL, the empty text (empty).
// Temporal values, booleans and bytes print as PostgreSQL prints them, so that its answers can be pasted. Queries with the same label
// must have the same result. `hash-threshold N` expects "M values hashing to <md5>" for more than N values. `skipif X` and
// `onlyif X` hold for the next record; X is kalamdb, or an executor. `halt` ends the file.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Client, Column, DataType, Result } from '../it/lib/http.js';
import { Server } from '../it/lib/server.js';

interface RecordOf {
  line: number;
  kind: 'ok' | 'error' | 'count' | 'query';
  sql: string;
  pattern?: RegExp;
  count?: number;
  types: string;
  sort: string;
  label?: string;
  expected: string[];
  hashThreshold: number;
  only: string[];
  skip: string[];
}

function parse(text: string): RecordOf[] {
  const lines = text.split('\n');
  const records: RecordOf[] = [];
  let hashThreshold = 0;
  let only: string[] = [];
  let skip: string[] = [];
  let i = 0;
  const block = (ends: (l: string) => boolean): string[] => {
    const out: string[] = [];
    while (i < lines.length && !ends(lines[i])) {
      out.push(lines[i++]);
    }
    return out;
  };
  while (i < lines.length) {
    const line = lines[i].trim();
    const at = i + 1;
    i++;
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    const [word, ...rest] = line.split(/\s+/);
    if (word === 'halt') {
      break;
    } else if (word === 'hash-threshold') {
      hashThreshold = Number(rest[0]);
    } else if (word === 'skipif') {
      skip.push(rest[0]);
    } else if (word === 'onlyif') {
      only.push(rest[0]);
    } else if (word === 'statement' || word === 'query') {
      const record: RecordOf = { line: at, kind: 'ok', sql: '', types: '', sort: 'nosort', expected: [], hashThreshold, only, skip };
      only = [];
      skip = [];
      if (word === 'query') {
        record.kind = 'query';
        record.types = rest[0] ?? '';
        record.sort = rest[1] ?? 'nosort';
        record.label = rest[2];
        if (!/^[IRT]+$/.test(record.types) || !['nosort', 'rowsort', 'valuesort'].includes(record.sort)) {
          throw new Error(`line ${at}: ${line}`);
        }
      } else if (rest[0] === 'error') {
        record.kind = 'error';
        const pattern = line.replace(/^statement\s+error\s*/, '');
        record.pattern = pattern === '' ? undefined : new RegExp(pattern, 'i');
      } else if (rest[0] === 'count') {
        record.kind = 'count';
        record.count = Number(rest[1]);
      } else if (rest[0] !== 'ok') {
        throw new Error(`line ${at}: ${line}`);
      }
      record.sql = block((l) => l.trim() === '' || l === '----').join('\n');
      if (i < lines.length && lines[i] === '----') {
        i++;
        record.expected = block((l) => l === '');
      }
      records.push(record);
    } else {
      throw new Error(`line ${at}: ${line}`);
    }
  }
  return records;
}

function time(us: bigint): string {
  const day = 86_400_000_000n;
  const t = ((us % day) + day) % day;
  const two = (n: bigint) => n.toString().padStart(2, '0');
  const s = `${two(t / 3_600_000_000n)}:${two((t / 60_000_000n) % 60n)}:${two((t / 1_000_000n) % 60n)}`;
  const fraction = t % 1_000_000n;
  return fraction === 0n ? s : `${s}.${fraction.toString().padStart(6, '0').replace(/0+$/, '')}`;
}
function date(days: number): string {
  return new Date(days * 86_400_000).toISOString().split('T')[0].replace(/^\+0*/, '');
}
function cell(value: unknown, letter: string, type: DataType): string {
  if (value === null) {
    return 'NULL';
  }
  if (letter === 'R') {
    return Number(value).toFixed(3);
  }
  switch (type) {
    case 'Boolean':
      return value ? 't' : 'f';
    case 'Timestamp':
    case 'DateTime': {
      const us = BigInt(value as number);
      const day = 86_400_000_000n;
      const days = (us - (((us % day) + day) % day)) / day;
      return `${date(Number(days))} ${time(us)}`;
    }
    case 'Date':
      return date(value as number);
    case 'Time':
      return time(BigInt(value as number));
    case 'Bytes':
      return `\\x${Buffer.from(value as number[]).toString('hex')}`;
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (letter === 'I') {
    return /^-?\d+$/.test(text) ? text : `not an integer: ${text}`;
  }
  return text === '' ? '(empty)' : text;
}

function check(record: RecordOf, result: Result, labels: Map<string, string>): string | undefined {
  if (!result.schema || !result.rows) {
    return `no rows: ${result.message}`;
  }
  if (result.schema.length !== record.types.length) {
    return `${result.schema.length} columns: ${result.schema.map((c: Column) => c.name)}`;
  }
  const schema = result.schema;
  let rows = result.rows.map((r) => r.map((v, k) => cell(v, record.types[k], schema[k].data_type)));
  if (record.sort === 'rowsort') {
    rows = rows.sort((a, b) => (a.join('\n') < b.join('\n') ? -1 : 1));
  }
  let values = rows.flat();
  if (record.sort === 'valuesort') {
    values = values.sort();
  }
  let actual = values;
  if (record.hashThreshold > 0 && values.length > record.hashThreshold) {
    const hash = createHash('md5').update(values.map((v) => `${v}\n`).join('')).digest('hex');
    actual = [`${values.length} values hashing to ${hash}`];
  } else if (record.types.length > 1 && record.sort !== 'valuesort' && record.expected.length === rows.length) {
    actual = rows.map((r) => r.join(' '));
  }
  if (record.label !== undefined) {
    const before = labels.get(record.label);
    labels.set(record.label, actual.join('\n'));
    if (before !== undefined && before !== actual.join('\n')) {
      return `differs from the other queries with the label ${record.label}:\n${actual.join('\n')}`;
    }
  }
  if (actual.join('\n') !== record.expected.join('\n')) {
    return `expected:\n${record.expected.join('\n')}\nactual:\n${(record.types.length > 1 ? rows.map((r) => r.join(' ')) : actual).join('\n')}`;
  }
  return undefined;
}

async function run(record: RecordOf, root: Client, labels: Map<string, string>): Promise<string | undefined> {
  const reply = await root.sql(record.sql);
  const error = reply.status === 'error' ? `${reply.error!.code}: ${reply.error!.message}` : undefined;
  if (record.kind === 'error') {
    if (error === undefined) {
      return `must fail, but: ${JSON.stringify(reply.results).slice(0, 300)}`;
    }
    if (reply.http >= 500) {
      return `${reply.http} ${error}`;
    }
    return record.pattern === undefined || record.pattern.test(error) ? undefined : `error does not match ${record.pattern}: ${error}`;
  }
  if (error !== undefined) {
    return error;
  }
  const result = reply.results[reply.results.length - 1];
  if (record.kind === 'count') {
    return result.row_count === record.count ? undefined : `${result.row_count} rows: ${result.message}`;
  }
  return record.kind === 'query' ? check(record, result, labels) : undefined;
}

const folder = import.meta.dirname;
const files = process.argv.length > 2 ? process.argv.slice(2) : readdirSync(folder).filter((f) => f.endsWith('.slt')).sort().map((f) => join(folder, f));
let passed = 0;
let failed = 0;
for (const executor of (process.env.KL_SQL_EXECUTORS ?? 'auto,duckdb').split(',')) {
  for (const file of files) {
    const name = `${basename(file)} (${executor})`;
    const labels = new Map<string, string>();
    const names = ['kalamdb', executor];
    let server: Server | undefined;
    let bad = 0;
    let good = 0;
    try {
      server = await Server.start({ config: { 'execution.executor': executor } });
      for (const record of parse(readFileSync(file, 'utf8'))) {
        if (record.skip.some((n) => names.includes(n)) || record.only.some((n) => !names.includes(n))) {
          continue;
        }
        const fault = await run(record, server.root(), labels).catch((e: Error) => e.message);
        if (fault === undefined) {
          good++;
        } else {
          bad++;
          console.log(`FAIL ${basename(file)}:${record.line} (${executor})\n${record.sql}\n${fault}\n`);
        }
      }
      await server.stop();
    } catch (e) {
      bad++;
      console.log(`FAIL ${name}: ${(e as Error).message}`);
      await server?.kill().catch(() => undefined);
    }
    console.log(`${name}: ${good} passed, ${bad} failed`);
    passed += good;
    failed += bad;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
