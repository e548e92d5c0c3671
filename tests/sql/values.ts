// Values of results as sqllogictest files write them, and how they compare with what a file expects.
import { createHash } from 'node:crypto';
import type { Column, DataType, Result } from '../it/lib/http.js';
import type { Query, Sort } from './format.js';

const dayUs = 86_400_000_000n;

function time(us: bigint): string {
  const t = ((us % dayUs) + dayUs) % dayUs;
  const two = (n: bigint) => n.toString().padStart(2, '0');
  const s = `${two(t / 3_600_000_000n)}:${two((t / 60_000_000n) % 60n)}:${two((t / 1_000_000n) % 60n)}`;
  const fraction = t % 1_000_000n;
  return fraction === 0n ? s : `${s}.${fraction.toString().padStart(6, '0').replace(/0+$/, '')}`;
}
function date(days: number): string {
  return new Date(days * 86_400_000).toISOString().split('T')[0].replace(/^\+0*/, '');
}
function timestamp(value: string | number): string {
  const us = BigInt(value);
  const days = (us - (((us % dayUs) + dayUs) % dayUs)) / dayUs;
  return `${date(Number(days))} ${time(us)}`;
}

// C's "%.3f": exact ties, which are the odd multiples of 1/16, go to the even digit.
export function real(x: number): string {
  if (!Number.isFinite(x)) {
    return String(x);
  }
  if (Math.abs(x) >= 1e21) {
    return `${BigInt(x)}.000`;
  }
  if (Math.abs(x * 16) % 2 === 1) {
    const down = Math.floor(x * 1000);
    return ((down % 2 === 0 ? down : down + 1) / 1000).toFixed(3);
  }
  return x.toFixed(3);
}

// What the format does with a number in an I column: it is cut to an integer; a text counts as the integer it starts with, or 0.
export function integer(text: string): string {
  const digits = /^\s*([+-]?)0*(\d*)(\.\d*)?([eE][+-]?\d+)?/.exec(text)!;
  if (digits[4] !== undefined && Number.isFinite(Number(text))) {
    return BigInt(Math.trunc(Number(text))).toString();
  }
  const n = digits[2] === '' ? '0' : digits[2];
  return n === '0' || digits[1] !== '-' ? n : `-${n}`;
}

function text(value: unknown, type: DataType): string {
  switch (type) {
    case 'Boolean':
      return value ? 't' : 'f';
    case 'Timestamp':
    case 'DateTime':
      return timestamp(value as number);
    case 'Date':
      return date(value as number);
    case 'Time':
      return time(BigInt(value as number));
    case 'Bytes':
      return `\\x${Buffer.from(value as number[]).toString('hex')}`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function cell(value: unknown, letter: string, type: DataType): string {
  if (value === null) {
    return 'NULL';
  }
  if (letter === 'R') {
    const x = Number(value);
    return Number.isNaN(x) && value !== 'NaN' ? `not a number: ${text(value, type)}` : real(x);
  }
  if (letter === 'I') {
    return type === 'Boolean' ? (value ? '1' : '0') : integer(text(value, type));
  }
  return text(value, type) || '(empty)';
}

// Every byte that is not printable ASCII is an @ in hashes, and may be in values.
function masked(s: string): string {
  return [...Buffer.from(s)].map((b) => (b < 32 || b > 126 ? '@' : String.fromCharCode(b))).join('');
}
function same(expected: string, actual: string, type: DataType): boolean {
  if (expected === actual || expected === masked(actual)) {
    return true;
  }
  if (type === 'Boolean' && actual !== 'NULL') {
    const yes = actual === 't' || actual === '1';
    return (yes ? ['t', 'true', '1'] : ['f', 'false', '0']).includes(expected.toLowerCase());
  }
  return false;
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
function sortRows(rows: string[][]): string[][] {
  return [...rows].sort((a, b) => {
    for (let i = 0; i < a.length; i++) {
      const order = byBytes(a[i], b[i]);
      if (order !== 0) {
        return order;
      }
    }
    return 0;
  });
}
function sorted(rows: string[][], sort: Sort): string[][] {
  if (sort === 'rowsort') {
    return sortRows(rows);
  }
  return sort === 'valuesort' ? rows.flat().sort(byBytes).map((v) => [v]) : rows;
}

// The md5 of the values, each followed by a newline.
export function hash(values: string[]): string {
  return createHash('md5').update(values.map((v) => `${masked(v)}\n`).join('')).digest('hex');
}

// Expected lines as rows: a value a line, or a row a line with tabs or blanks between the values. Undefined when the lines are
// neither; several readings when blanks could be part of values.
function readings(lines: string[], columns: number, rows: number): string[][][] {
  const out: string[][][] = [];
  if (lines.length === rows && columns > 1) {
    if (lines.every((l) => l.split('\t').length === columns)) {
      out.push(lines.map((l) => l.split('\t')));
    }
    if (lines.every((l) => l.trim().split(/\s+/).length === columns)) {
      out.push(lines.map((l) => l.trim().split(/\s+/)));
    }
  }
  if (lines.length === rows * columns) {
    out.push(Array.from({ length: rows }, (_, i) => lines.slice(i * columns, (i + 1) * columns)));
  }
  return out;
}

function matches(query: Query, actual: string[][], types: DataType[]): boolean {
  const lines = query.expected!;
  const hashed = lines.length === 1 ? /^(\d+) values hashing to ([0-9a-f]{32})$/.exec(lines[0].trim()) : null;
  const values = sorted(actual, query.sort).flat();
  if (hashed !== null) {
    return Number(hashed[1]) === values.length && hashed[2] === hash(values);
  }
  if (query.sort === 'valuesort') {
    const given = lines.length === values.length ? lines : readings(lines, types.length, actual.length)[0]?.flat();
    return given !== undefined && [...given].sort(byBytes).every((v, i) => same(v, values[i], 'Text'));
  }
  const rows = sorted(actual, query.sort);
  for (const reading of readings(lines, types.length, rows.length)) {
    const given = query.sort === 'rowsort' ? sortRows(reading) : reading;
    if (given.every((row, i) => row.every((v, k) => same(v, rows[i][k], types[k])))) {
      return true;
    }
  }
  // a row a line, with blanks in its values
  const given = query.sort === 'rowsort' ? [...lines].sort(byBytes) : lines;
  const joined = query.sort === 'rowsort' ? rows.map((r) => r.join(' ')).sort(byBytes) : rows.map((r) => r.join(' '));
  return types.length > 1 && given.length === joined.length && given.every((l, i) => l === joined[i] || l === masked(joined[i]));
}

// Columns that every table has beside those it was made with; a file that was not written for this server does not expect them of *.
const systemColumns = new Set(['_seq', '_deleted']);

function excerpt(lines: string[]): string {
  return lines.length <= 60 ? lines.join('\n') : `${lines.slice(0, 60).join('\n')}\n… ${lines.length - 60} more lines`;
}

// What is wrong with a query's result; labels holds the hashes of earlier results.
export function compare(query: Query, result: Result, labels: Map<string, { line: number; hash: string }>): string | undefined {
  if (!result.schema || !result.rows) {
    return `no rows: ${result.message}`;
  }
  let keep = result.schema.map((_, k) => k);
  if (keep.length !== query.types.length) {
    keep = keep.filter((k) => !systemColumns.has(result.schema![k].name));
  }
  if (keep.length !== query.types.length) {
    return `${result.schema.length} columns, not ${query.types.length}: ${result.schema.map((c: Column) => c.name)}`;
  }
  const types = keep.map((k) => result.schema![k].data_type);
  const rows = result.rows.map((r) => keep.map((k, i) => cell(r[k], query.types[i], types[i])));
  const values = sorted(rows, query.sort).flat();
  const shown = () => excerpt(query.sort === 'valuesort' ? values : sorted(rows, query.sort).map((r) => r.join(' ')));
  if (query.expected !== undefined && !matches(query, rows, types)) {
    const line = `${values.length} values hashing to ${hash(values)}`;
    return `expected:\n${excerpt(query.expected)}\nactual (${line}):\n${shown()}`;
  }
  if (query.label !== undefined) {
    const before = labels.get(query.label);
    labels.set(query.label, before ?? { line: query.line, hash: hash(values) });
    if (before !== undefined && before.hash !== hash(values)) {
      return `differs from line ${before.line}, which has the same label ${query.label}:\n${shown()}`;
    }
  }
  return undefined;
}
