// Reads sqllogictest files: text in, the records that are to run out. README.md says what the format is.
//
// Everything that does not depend on a server happens here: loops are written out, skipif and onlyif decided, `mode skip` and
// `halt` obeyed. What is not understood is an error with its line, never skipped.

export type Sort = 'nosort' | 'rowsort' | 'valuesort';

export interface Statement {
  kind: 'statement';
  line: number;
  sql: string;
  expect: 'ok' | 'error' | 'count' | 'maybe';
  count?: number;
  error?: (text: string) => boolean;
  errorText?: string;
}
export interface Query {
  kind: 'query';
  line: number;
  sql: string;
  types: string;
  sort: Sort;
  label?: string;
  expected?: string[]; // absent: only the label is compared
}
export interface Caller {
  kind: 'user';
  line: number;
  name: string;
  role: string;
}
export interface Restart {
  kind: 'restart';
  line: number;
}
export type Step = Statement | Query | Caller | Restart;

interface Line {
  text: string;
  at: number;
}
const maxLines = 5_000_000;

export class FormatError extends Error {
  constructor(at: number, what: string) {
    super(`line ${at}: ${what}`);
  }
}

// `loop x 0 3` … `endloop` and `foreach x a b` … `endloop`, nested too: ${x} in the lines between takes each value in turn.
function writeOut(lines: Line[]): Line[] {
  const out: Line[] = [];
  for (let i = 0; i < lines.length; i++) {
    const words = lines[i].text.trim().split(/\s+/);
    if (words[0] === 'endloop') {
      throw new FormatError(lines[i].at, 'endloop without loop');
    }
    if (words[0] !== 'loop' && words[0] !== 'foreach') {
      out.push(lines[i]);
      continue;
    }
    let depth = 1;
    let end = i + 1;
    for (; end < lines.length; end++) {
      const word = lines[end].text.trim().split(/\s+/)[0];
      depth += word === 'loop' || word === 'foreach' ? 1 : word === 'endloop' ? -1 : 0;
      if (depth === 0) {
        break;
      }
    }
    if (depth !== 0 || words.length < 3) {
      throw new FormatError(lines[i].at, `${words[0]} without name, values or endloop`);
    }
    const [, name, ...rest] = words;
    const [from, to] = rest.map(Number);
    if (words[0] === 'loop' && !(rest.length === 2 && Number.isInteger(from) && Number.isInteger(to))) {
      throw new FormatError(lines[i].at, 'loop NAME FROM TO');
    }
    const values = words[0] === 'loop' ? Array.from({ length: Math.max(0, to - from) }, (_, k) => String(from + k)) : rest;
    const body = lines.slice(i + 1, end);
    for (const value of values) {
      out.push(...writeOut(body.map((l) => ({ text: l.text.replaceAll(`\${${name}}`, value), at: l.at }))));
      if (out.length > maxLines) {
        throw new FormatError(lines[i].at, `more than ${maxLines} lines with its loops`);
      }
    }
    i = end;
  }
  return out;
}

// The text of an expected error: a regular expression after `statement error`, or lines after ---- of which the error must hold
// the text (`<REGEX>:` starts an expression there).
function errorTest(pattern: string, below: string[] | undefined, at: number): Pick<Statement, 'error' | 'errorText'> {
  const text = pattern !== '' ? pattern : (below ?? []).join('\n').trim();
  if (text === '') {
    return {};
  }
  const expression = pattern !== '' ? pattern : text.startsWith('<REGEX>:') ? text.slice('<REGEX>:'.length) : undefined;
  if (expression === undefined) {
    return { error: (t) => t.includes(text), errorText: text };
  }
  try {
    const compiled = new RegExp(expression, 'is');
    return { error: (t) => compiled.test(t), errorText: expression };
  } catch (e) {
    throw new FormatError(at, (e as Error).message);
  }
}

class Reader {
  private i = 0;
  constructor(private readonly lines: Line[]) {}
  next(): Line | undefined {
    return this.lines[this.i++];
  }
  // Statement and what stands below ----; the empty line that ends the record is taken too.
  block(): { sql: string; below?: string[] } {
    const sql: string[] = [];
    let below: string[] | undefined;
    for (; this.i < this.lines.length; this.i++) {
      const text = this.lines[this.i].text;
      if (below === undefined ? text.trim() === '' : text === '') {
        this.i++;
        break;
      }
      if (below !== undefined) {
        below.push(text);
      } else if (text.trimEnd() === '----') {
        below = [];
      } else {
        sql.push(text);
      }
    }
    return { sql: sql.join('\n'), below };
  }
}

function statement(line: Line, words: string[], reader: Reader): Statement {
  const { sql, below } = reader.block();
  const expect = words[1];
  const base = { kind: 'statement' as const, line: line.at, sql };
  if (sql.trim() === '') {
    throw new FormatError(line.at, 'a record without statement');
  }
  if (expect === 'error') {
    const pattern = line.text.trim().replace(/^\S+\s+error\s*/, '');
    return { ...base, expect, ...errorTest(pattern, below, line.at) };
  }
  if (below !== undefined) {
    throw new FormatError(line.at, `statement ${expect} has no result`);
  }
  if (expect === 'count' && /^\d+$/.test(words[2] ?? '')) {
    return { ...base, expect, count: Number(words[2]) };
  }
  if (expect === 'ok' || expect === 'maybe') {
    return { ...base, expect };
  }
  throw new FormatError(line.at, line.text.trim());
}

function query(line: Line, words: string[], reader: Reader): Query | Statement {
  if (words[1] === 'error') {
    return statement(line, words, reader);
  }
  const { sql, below } = reader.block();
  const [, types = '', sort = 'nosort', label] = words;
  if (!/^[IRTB?]+$/.test(types) || !['nosort', 'rowsort', 'valuesort'].includes(sort) || sql.trim() === '') {
    throw new FormatError(line.at, line.text.trim());
  }
  if (below === undefined && label === undefined) {
    throw new FormatError(line.at, 'a query with neither ---- nor label expects nothing');
  }
  return { kind: 'query', line: line.at, sql, types, sort: sort as Sort, label, expected: below };
}

// The steps of a file for an engine that answers to these names.
export function parse(text: string, names: readonly string[]): Step[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((l, i) => ({ text: l.replace(/\r$/, ''), at: i + 1 }));
  const reader = new Reader(writeOut(lines));
  const known = new Set(names.map((n) => n.toLowerCase()));
  const steps: Step[] = [];
  let wanted = true; // by skipif and onlyif, for the next record
  let skipping = false; // by `mode skip`
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    const trimmed = line.text.trim();
    if (trimmed === '' || trimmed.startsWith('#')) {
      continue;
    }
    const words = trimmed.split(/\s+/);
    if (words[0] === 'skipif' || words[0] === 'onlyif') {
      if (words[1] === undefined) {
        throw new FormatError(line.at, trimmed);
      }
      wanted &&= known.has(words[1].toLowerCase()) === (words[0] === 'onlyif');
      continue;
    }
    const take = wanted && !skipping;
    wanted = true;
    switch (words[0]) {
      case 'statement':
      case 'query': {
        const record = words[0] === 'query' ? query(line, words, reader) : statement(line, words, reader);
        if (take) {
          steps.push(record);
        }
        break;
      }
      case 'halt':
        if (take) {
          return steps;
        }
        break;
      case 'user':
        if (take) {
          steps.push({ kind: 'user', line: line.at, name: words[1] ?? 'root', role: words[2] ?? 'user' });
        }
        break;
      case 'restart':
        if (take) {
          steps.push({ kind: 'restart', line: line.at });
        }
        break;
      case 'mode':
        if (words[1] !== 'skip' && words[1] !== 'unskip') {
          throw new FormatError(line.at, trimmed);
        }
        skipping = words[1] === 'skip';
        break;
      case 'hash-threshold': // says when results were written as hashes; what stands in the file tells it as well
        if (!/^\d+$/.test(words[1] ?? '')) {
          throw new FormatError(line.at, trimmed);
        }
        break;
      case 'connection': // a request has no session that could differ from another one
        break;
      default:
        throw new FormatError(line.at, `unknown: ${trimmed}`);
    }
  }
  return steps;
}
