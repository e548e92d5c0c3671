// Whether this server and PostgreSQL say the same. Values become one notation (numbers, digits, text); what docs/differences.md
// lists is let through, each by a function that names its paragraph.
import type { DataType, Reply } from './http.js';
import type { PgReply } from './pg.js';

// What a value is compared as.
type Class = 'bool' | 'int2' | 'int4' | 'int8' | 'float4' | 'float8' | 'num' | 'text' | 'date' | 'ts' | 'tstz' | 'time' | 'uuid' | 'bytea' | 'json' | 'interval';
const oids: Record<number, Class> = {
  16: 'bool', 21: 'int2', 23: 'int4', 20: 'int8', 700: 'float4', 701: 'float8', 1700: 'num', 25: 'text', 1043: 'text', 1042: 'text', 19: 'text', 705: 'text',
  1082: 'date', 1114: 'ts', 1184: 'tstz', 1083: 'time', 2950: 'uuid', 17: 'bytea', 114: 'json', 3802: 'json', 1186: 'interval',
};
const classes: Record<string, Class> = {
  Boolean: 'bool', SmallInt: 'int2', Int: 'int4', BigInt: 'int8', Float: 'float4', Double: 'float8', Text: 'text', Date: 'date', Timestamp: 'ts', DateTime: 'tstz', Time: 'time', Uuid: 'uuid', Bytes: 'bytea', Json: 'json',
};
function classOf(type: DataType): Class | undefined {
  return typeof type === 'string' ? classes[type] : 'Decimal' in type ? 'num' : undefined;
}

const numbers: (Class | undefined)[] = ['int2', 'int4', 'int8', 'num', 'float8'];
// docs/differences.md, Statements that run in DuckDB: "A number may have another type". Its value is compared all the same.
function otherNumber(kalam: Class | undefined, pg: Class | undefined): boolean {
  return kalam !== pg && numbers.includes(kalam) && numbers.includes(pg);
}
// An interval has no type of its own in results: it comes out as its text.
function sameType(kalam: Class | undefined, pg: Class | undefined): boolean {
  return kalam === pg || (kalam === 'text' && pg === 'interval') || otherNumber(kalam, pg);
}

const microseconds = (time: string) => {
  const [, h, m, s, f] = /^(\d+):(\d+):(\d+)(?:\.(\d+))?$/.exec(time)!;
  return ((Number(h) * 60 + Number(m)) * 60 + Number(s)) * 1e6 + Number((f ?? '').padEnd(6, '0'));
};
function days(date: string): number {
  const [, y, m, d, bc] = /^(\d+)-(\d\d)-(\d\d)( BC)?$/.exec(date)!;
  const at = new Date(0);
  at.setUTCFullYear(bc ? 1 - Number(y) : Number(y), Number(m) - 1, Number(d));
  return at.getTime() / 86_400_000;
}
// A value of PostgreSQL's text output as this server's JSON has it.
function fromPg(text: string | null, kind: Class): unknown {
  if (text === null) {
    return null;
  }
  switch (kind) {
    case 'bool':
      return text === 't';
    case 'int2': case 'int4': case 'float4': case 'float8':
      return /^-?(NaN|Infinity)$/.test(text) ? text : Number(text);
    case 'date':
      return /infinity/.test(text) ? text : days(text);
    case 'time':
      return microseconds(text);
    case 'ts': case 'tstz': {
      if (/infinity/.test(text)) {
        return text;
      }
      const [, date, time, bc] = /^(\S+) ([\d:.]+)(?:\+00)?( BC)?$/.exec(text)!;
      return days(date + (bc ?? '')) * 86_400_000_000 + microseconds(time);
    }
    case 'bytea':
      return [...Buffer.from(text.slice(2), 'hex')];
    default:
      return text;
  }
}

const trimmed = (n: string) => (n.includes('.') ? n.replace(/0+$/, '').replace(/\.$/, '') : n).replace(/^-0$/, '0');
// docs/differences.md, Decimals: "A decimal has the scale of its type", "Quotients and averages have 16 digits after the point".
function sameDecimal(a: string, b: string): boolean {
  if (trimmed(a) === trimmed(b)) {
    return true;
  }
  const [x, y] = [Number(a), Number(b)];
  return Math.abs(x - y) <= Math.max(2e-16, 1e-14 * Math.max(Math.abs(x), Math.abs(y))) && /\.\d{6,}/.test(a + ' ' + b);
}
// docs/differences.md, Decimals: "38 digits are the most": what does not fit loses digits after the point.
function rounded(a: string, b: string, type: DataType): boolean {
  return typeof type !== 'string' && 'Decimal' in type && type.Decimal.precision === 38 && Math.abs(Number(a) - Number(b)) <= 0.5001 * 10 ** -type.Decimal.scale;
}
function sameFloat(a: unknown, b: unknown, epsilon: number): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return a === b || Math.abs(a - b) <= epsilon * Math.max(Math.abs(a), Math.abs(b)) || Math.abs(a - b) < 1e-12;
  }
  return a === b;
}
// The text is not compared: a JSON value is.
function canonical(json: string): string {
  const sorted = (v: unknown): unknown =>
    Array.isArray(v) ? v.map(sorted) : v !== null && typeof v === 'object' ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, x]) => [k, sorted(x)])) : v;
  try {
    return JSON.stringify(sorted(JSON.parse(json)));
  } catch {
    return json;
  }
}
// docs/differences.md, Decimals: "Quotients and averages have 16 digits after the point": what is multiplied by a large number, or divides, shows it.
function sameMultiple(a: string, b: string, sql: string): boolean {
  const quotient = / \/ NULLIF\(|\bavg\(/.test(sql);
  return quotient && Math.abs(Number(a) - Number(b)) <= 1e-9 * Math.max(Math.abs(Number(a)), Math.abs(Number(b)));
}
// docs/differences.md, Decimals: "A double that becomes a decimal": the generator's casts of doubles are to NUMERIC(20,4).
function sameFromDouble(a: string, b: string, sql: string): boolean {
  return sql.includes(' AS NUMERIC(20,4))') && Math.abs(Number(a) - Number(b)) <= 1e-14 * Math.max(Math.abs(Number(a)), Math.abs(Number(b)));
}
// docs/differences.md, Statements that run in DuckDB: "EXTRACT and date_part fields are BIGINT or double precision": far from 1970 a double has no room for
// the microseconds of an epoch, and rounds up to the next second.
function wholeEpoch(a: string, b: string, sql: string): boolean {
  return /\b(trunc|floor)\(EXTRACT\(epoch /.test(sql) && Math.abs(Number(a) - Number(b)) === 1 && Math.abs(Number(b)) > 1e11;
}
// docs/differences.md, Statements that run in DuckDB: "Equal values have no variance".
function noVariance(a: unknown, b: unknown, kind: Class, sql: string): boolean {
  return kind === 'float8' && (a === null) !== (b === null) && /\b(corr|regr_slope)\(/.test(sql);
}
// docs/differences.md, Functions, "JSON is text": an index into a scalar.
function indexOfScalar(a: unknown, b: unknown, sql: string): boolean {
  return a === null && b !== null && sql.includes("-> 'b' ->> 0)");
}
function same(a: unknown, b: unknown, kind: Class, mine: Class | undefined, digits: DataType, sql: string): boolean {
  if (a === null || b === null) {
    return a === b || noVariance(a, b, kind, sql) || indexOfScalar(a, b, sql);
  }
  if (kind === 'num' && (sameMultiple(String(a), String(b), sql) || (mine === 'num' && sameFromDouble(String(a), String(b), sql)))) {
    return true;
  }
  if (numbers.includes(kind) && wholeEpoch(String(a), String(b), sql)) {
    return true;
  }
  if (otherNumber(mine, kind)) {
    const [x, y] = [Number(a), Number(b)];
    return String(a) === String(b) || sameFloat(x, y, 1e-9) || (kind === 'num' && sameDecimal(String(a), String(b)));
  }
  switch (kind) {
    case 'float8':
      return sameFloat(a, b, 1e-9);
    case 'float4':
      return sameFloat(a, b, 1e-5);
    case 'num':
      return sameDecimal(String(a), String(b)) || rounded(String(a), String(b), digits);
    case 'json':
      return canonical(String(a)) === canonical(String(b));
    case 'bytea':
      return JSON.stringify(a) === JSON.stringify(b);
    case 'int8':
      return String(a) === String(b);
    default:
      return a === b;
  }
}
// Rows in an order that both sides have alike, for results whose order is not given.
function arranged(rows: unknown[][], kinds: Class[]): unknown[][] {
  const key = (v: unknown, kind: Class) => {
    if (v === null) {
      return '';
    }
    if (numbers.includes(kind) || kind === 'float4') {
      const n = Number(v);
      const about = Number.isNaN(n) ? 'NaN' : n === 0 ? '0' : n.toPrecision(kind === 'float4' ? 6 : kind === 'float8' ? 9 : 12);
      return kind === 'int8' ? `${about} ${trimmed(String(v))}` : about; // a double does not tell large integers apart
    }
    return kind === 'json' ? canonical(String(v)) : JSON.stringify(v);
  };
  const inexact = (kind: Class) => kind === 'float4' || kind === 'float8';
  const order = [...kinds.keys()].sort((a, b) => Number(inexact(kinds[a])) - Number(inexact(kinds[b]))); // what is exact decides first
  return rows.map((row) => ({ row, key: order.map((i) => key(row[i], kinds[i])).join('\u0001') })).sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map((r) => r.row);
}

export type ErrorClass = 'division by zero' | 'out of range' | 'invalid input' | 'constraint' | 'cardinality' | 'other' | 'refused';
export function pgErrorClass(code: string): ErrorClass {
  switch (code) {
    case '22012':
      return 'division by zero';
    case '22003': case '22008': case '22015':
      return 'out of range';
    case '22P02': case '22007':
      return 'invalid input';
    case '21000':
      return 'cardinality';
    default:
      return code.startsWith('23') ? 'constraint' : code.startsWith('42') || code.startsWith('0A') ? 'refused' : 'other';
  }
}
export function kalamErrorClass(message: string): ErrorClass {
  if (/division by zero/i.test(message)) {
    return 'division by zero';
  }
  if (/out of range|overflow|does not fit|Failed to cast decimal value|infinity to decimal|value -?inf to/i.test(message)) {
    return 'out of range';
  }
  if (/invalid input|could not convert|conversion error/i.test(message)) {
    return 'invalid input';
  }
  if (/more than one row/i.test(message)) {
    return 'cardinality';
  }
  if (/violat|must not be null|already exists/i.test(message)) {
    return 'constraint';
  }
  return message.startsWith('Statement 1 failed: ') ? 'other' : 'refused';
}

export type Verdict = { kind: 'same' | 'error' | 'refused' | 'lazy' } | { kind: 'unsupported'; reason: string } | { kind: 'different'; what: string };
const unsupported = /not available|not supported|no native form|needs the analytical|unsupported|takes no|does not exist or is not allowed|function .* does not exist|operator .* does not exist/i;

// docs/differences.md, Ranges: the year 9999 is the last one, and no decimal is NaN or infinite.
function ours(message: string): boolean {
  return /(date|timestamp) out of range|(NaN|Infinity) to decimal|value -?(nan|inf) to DECIMAL/i.test(message);
}

export interface How {
  strict: boolean; // errors have to agree too
  sorted: boolean; // the order of rows is given
  sql: string;
  planning?: boolean; // PostgreSQL's error is one of planning: EXPLAIN has it too
}

export function compareErrors(kalam: Reply, pg: PgReply, how: How): Verdict {
  const { strict } = how;
  const mine = kalam.status === 'error' ? kalam.error!.message : undefined;
  const theirs = pg.error;
  if (mine !== undefined && theirs !== undefined) {
    const [a, b] = [kalamErrorClass(mine), pgErrorClass(theirs.code)];
    // Which of two errors comes first is not promised; a single expression has one.
    return !strict || a === b || b === 'other' || a === 'refused' || b === 'refused' ? { kind: 'error' } : { kind: 'different', what: `kalamdb: ${mine}; postgresql: ${theirs.code} ${theirs.message}` };
  }
  if (theirs !== undefined && /value out of range: (over|under)flow/.test(theirs.message)) {
    return { kind: 'lazy' }; // docs/differences.md, Statements that run in DuckDB: "Floating point numbers overflow to infinity"
  }
  if (theirs !== undefined) {
    const runtime = pgErrorClass(theirs.code);
    if (runtime === 'refused') {
      return { kind: 'refused' };
    }
    // docs/differences.md, Statements that run in DuckDB: "Which rows meet an error is not promised": PostgreSQL computes constants when it
    // plans, so that an error there needs neither a row nor the arm that the constant stands in to be taken.
    const computed = strict && !how.planning && (kalam.results[0]?.rows?.length ?? 1) > 0;
    return !computed && runtime !== 'constraint' ? { kind: 'lazy' } : { kind: 'different', what: `kalamdb: a result ${JSON.stringify(kalam.results[0]?.rows?.slice(0, 2))}; postgresql: ${theirs.code} ${theirs.message}` };
  }
  // docs/differences.md, Decimals: "the difference of two times", where types are not known.
  if (ours(mine!) || mine!.includes("'-(TIME, TIME)'")) {
    return { kind: 'lazy' };
  }
  const error = kalamErrorClass(mine!);
  if (error === 'refused' && unsupported.test(mine!)) {
    return { kind: 'unsupported', reason: mine!.replace(/"[^"]*"/g, '"…"').replace(/^.*: (the )/, '$1').replace(/ with \d arguments/, '') };
  }
  // docs/differences.md, Statements that run in DuckDB: "Which rows meet an error is not promised".
  if (!strict && (['out of range', 'division by zero'].includes(error) || /operand, lower bound, and upper bound cannot be NaN/.test(mine!))) {
    return { kind: 'lazy' };
  }
  return { kind: 'different', what: `kalamdb: ${mine}; postgresql: a result ${JSON.stringify(pg.rows.slice(0, 2))}` };
}

export function compare(kalam: Reply, pg: PgReply, how: How): Verdict {
  if (kalam.status === 'error' || pg.error) {
    return compareErrors(kalam, pg, how);
  }
  const mine = kalam.results[0];
  if (mine.schema === undefined) {
    return { kind: 'same' };
  }
  const theirs = pg.columns.map((c) => oids[c.oid]);
  const types = mine.schema.map((c) => classOf(c.data_type));
  if (types.length !== theirs.length || !types.every((t, i) => sameType(t, theirs[i]))) {
    return { kind: 'different', what: `types: ${types.map((t, i) => (sameType(t, theirs[i]) ? '' : `${mine.schema![i].name} ${t} here, ${theirs[i] ?? pg.columns[i].oid} there`)).join(' ')}` };
  }
  if (mine.rows!.length !== pg.rows.length) {
    return { kind: 'different', what: `${mine.rows!.length} rows, PostgreSQL ${pg.rows.length}` };
  }
  let [a, b] = [mine.rows!, pg.rows.map((row) => row.map((v, i) => fromPg(v, theirs[i])))];
  const equal = () => a.findIndex((row, i) => !row.every((v, k) => same(v, b[i][k], theirs[k], types[k], mine.schema![k].data_type, how.sql)));
  let at = equal();
  if (at >= 0 && !how.sorted) {
    [a, b] = [arranged(a, theirs), arranged(b, theirs)];
    at = equal();
  }
  return at < 0 ? { kind: 'same' } : { kind: 'different', what: `row ${at}: kalamdb ${JSON.stringify(a[at])}; postgresql ${JSON.stringify(b[at])}` };
}
