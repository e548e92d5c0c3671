// Tests of the runner: that it reads the format, and above all that it fails what is wrong.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Column, DataType, Reply } from '../it/lib/http.js';
import { Server } from '../it/lib/server.js';
import { FormatError, parse } from './format.js';
import { runSteps, type Outcome, type Target } from './run.js';
import { hash, integer, real } from './values.js';

const names = ['kalamdb', 'postgresql', 'kalamdb-auto'];

// A server that answers every statement alike.
function rows(types: DataType[], values: unknown[][], columns?: string[]): Reply {
  const schema: Column[] = types.map((t, i) => ({ name: columns?.[i] ?? `c${i}`, data_type: t, index: i }));
  const result = { schema, rows: values, row_count: values.length, as_user: 'root' };
  return { http: 200, headers: new Headers(), status: 'success', results: [result], took: 0 };
}
function counted(n: number): Reply {
  const result = { row_count: n, message: `Inserted ${n} row(s)`, as_user: 'root' };
  return { http: 200, headers: new Headers(), status: 'success', results: [result], took: 0 };
}
function failure(message: string, http = 400): Reply {
  return { http, headers: new Headers(), status: 'error', results: [], took: 0, error: { code: 'SQL_EXECUTION_ERROR', message } };
}
function answering(...replies: Reply[]): Target & { seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    sql: (text) => {
      seen.push(text);
      return Promise.resolve(replies[Math.min(seen.length, replies.length) - 1]);
    },
    become: (name, role) => Promise.resolve(void seen.push(`user ${name} ${role}`)),
    restart: () => Promise.resolve(void seen.push('restart')),
  };
}
async function run(text: string, ...replies: Reply[]): Promise<Outcome> {
  return await runSteps(parse(text, names), answering(...replies));
}
async function good(text: string, ...replies: Reply[]): Promise<void> {
  const outcome = await run(text, ...replies);
  assert.deepEqual(outcome.failures, [], text);
  assert.ok(outcome.passed > 0, text);
}
async function bad(text: string, ...replies: Reply[]): Promise<void> {
  assert.equal((await run(text, ...replies)).failures.length, 1, `must fail:\n${text}`);
}
async function sees(text: string): Promise<string[]> {
  const target = answering(counted(0));
  await runSteps(parse(text, names), target);
  return target.seen;
}
const md5 = (s: string) => createHash('md5').update(s).digest('hex');
const abc = rows(['BigInt', 'Text'], [['2', 'b'], ['1', 'a'], ['1', 'c']]);

const tests: Record<string, () => Promise<void> | void> = {
  async 'statements'() {
    await good('statement ok\nX\n', counted(0));
    await bad('statement ok\nX\n', failure('no'));
    await good('statement error\nX\n', failure('no such thing'));
    await good('statement error such\\s+THING\nX\n', failure('no such thing'));
    await good('statement error\nX\n----\nsuch thing\n', failure('no such thing'));
    await good('statement error\nX\n----\n<REGEX>:s.ch\n', failure('no such thing'));
    await bad('statement error\nX\n', counted(0));
    await bad('statement error other\nX\n', failure('no such thing'));
    await bad('statement error\nX\n----\nother\n', failure('no such thing'));
    await bad('statement error\nX\n', failure('broken', 500));
    await good('query error such\nX\n', failure('no such thing'));
    await good('statement count 3\nX\n', counted(3));
    await bad('statement count 3\nX\n', counted(2));
    await good('statement maybe\nX\n', failure('no'));
    await bad('statement maybe\nX\n', failure('broken', 500));
  },
  async 'results: a value a line, a row a line, tabs, CRLF'() {
    await good('query IT\nX\n----\n2\nb\n1\na\n1\nc\n', abc);
    await good('query IT nosort\nX\n----\n2 b\n1 a\n1 c\n', abc);
    await good('query IT\nX\n----\n2\tb\n1\ta\n1\tc', abc);
    await good('query IT\r\nX\r\n----\r\n2 b\r\n1 a\r\n1 c\r\n\r\n', abc);
    await bad('query IT\nX\n----\n1 a\n1 c\n2 b\n', abc);
    await bad('query IT\nX\n----\n2 b\n1 a\n', abc);
    await bad('query IT\nX\n----\n2 b\n1 a\n1 c\n3 d\n', abc);
    await bad('query IT\nX\n----\n2 b\n1 a\n1 C\n', abc);
    await bad('query IT\nX\n----\n', abc);
    await bad('query I\nX\n----\n2\n1\n1\n', abc);
    await bad('query ITI\nX\n----\n2 b 1\n1 a 1\n1 c 1\n', abc);
    await bad('query IT\nX\n----\n2 b\n1 a\n1 c\n', failure('no'));
    await bad('query IT\nX\n----\n2 b\n1 a\n1 c\n', counted(3));
    await good('query I\nX\n----\n', rows(['Int'], []));
    await bad('query I\nX\n----\n1\n', rows(['Int'], []));
    await good('query IT\nX\n----\n1 two words\n', rows(['Int', 'Text'], [[1, 'two words']]));
    await good('query T\nX\n----\ntwo words\n', rows(['Text'], [['two words']]));
  },
  async 'sorting'() {
    await good('query IT rowsort\nX\n----\n1 a\n1 c\n2 b\n', abc);
    await good('query IT rowsort\nX\n----\n1\na\n1\nc\n2\nb\n', abc);
    await good('query IT rowsort\nX\n----\n2 b\n1 c\n1 a\n', abc);
    await bad('query IT rowsort\nX\n----\n1 a\n1 b\n2 c\n', abc);
    await good('query IT valuesort\nX\n----\n1\n1\n2\na\nb\nc\n', abc);
    await bad('query IT valuesort\nX\n----\n1\n2\n2\na\nb\nc\n', abc);
    await good('query I rowsort\nX\n----\n-5\n10\n9\n', rows(['Int'], [[9], [10], [-5]])); // by bytes, not by value
    await good(`query I rowsort\nX\n----\n3 values hashing to ${md5('-5\n10\n9\n')}\n`, rows(['Int'], [[9], [10], [-5]]));
  },
  async 'hashes'() {
    assert.equal(hash(['1', '2']), md5('1\n2\n'));
    assert.equal(hash([]), md5(''));
    await good(`hash-threshold 2\n\nquery IT\nX\n----\n6 values hashing to ${md5('2\nb\n1\na\n1\nc\n')}\n`, abc);
    await good(`query IT rowsort\nX\n----\n6 values hashing to ${md5('1\na\n1\nc\n2\nb\n')}\n`, abc);
    await good(`query IT valuesort\nX\n----\n6 values hashing to ${md5('1\n1\n2\na\nb\nc\n')}\n`, abc);
    await bad(`query IT\nX\n----\n6 values hashing to ${md5('1\na\n1\nc\n2\nb\n')}\n`, abc);
    await bad(`query IT\nX\n----\n5 values hashing to ${md5('2\nb\n1\na\n1\nc\n')}\n`, abc);
    await good('hash-threshold 2\n\nquery IT\nX\n----\n2 b\n1 a\n1 c\n', abc);
    await good(`query T\nX\n----\n1 values hashing to ${md5('a@@b\n')}\n`, rows(['Text'], [['a\u00e9b']]));
  },
  async 'labels'() {
    const again = rows(['BigInt', 'Text'], [['1', 'a'], ['1', 'c'], ['2', 'b']]);
    const other = rows(['BigInt', 'Text'], [['1', 'a'], ['1', 'c'], ['2', 'x']]);
    await good('query IT rowsort l1\nX\n\nquery IT rowsort l1\nY\n', abc, again);
    await bad('query IT rowsort l1\nX\n\nquery IT rowsort l1\nY\n', abc, other);
    await good('query IT rowsort l1\nX\n\nquery IT rowsort l2\nY\n', abc, other);
    await bad('query IT nosort l1\nX\n----\n2 b\n1 a\n1 c\n\nquery IT nosort l1\nY\n----\n1 a\n1 c\n2 b\n', abc, again);
    assert.throws(() => parse('query I\nX\n', names), FormatError);
  },
  async 'conversions'() {
    assert.deepEqual([0.0625, 0.1875, -0.0625, 2.0005, 1 / 3, 1e22, -7].map(real), ['0.062', '0.188', '-0.062', '2.001', '0.333', '10000000000000000000000.000', '-7.000']);
    assert.deepEqual(['7', '-7.9', '0.5', '-0.5', 'abc', '12abc', '1e3', '007', '-'].map(integer), ['7', '-7', '0', '0', '0', '12', '1000', '7', '0']);
    await good('query IRT\nX\n----\nNULL NULL NULL\n', rows(['Int', 'Double', 'Text'], [[null, null, null]]));
    await bad('query T\nX\n----\nNULL\n', rows(['Text'], [['']]));
    await good('query TT\nX\n----\n(empty) x\n', rows(['Text', 'Text'], [['', 'x']]));
    await good('query RRI\nX\n----\n1.500 2.000 2\n', rows(['Double', 'BigInt', { Decimal: { precision: 5, scale: 2 } }], [[1.5, '2', '2.75']]));
    await bad('query R\nX\n----\n0.000\n', rows(['Text'], [['abc']]));
    await good('query TTTI\nX\n----\nt true 1 1\n', rows(['Boolean', 'Boolean', 'Boolean', 'Boolean'], [[true, true, true, true]]));
    await bad('query T\nX\n----\nt\n', rows(['Boolean'], [[false]]));
    await bad('query T\nX\n----\ntrue\n', rows(['Text'], [['t']]));
    await good('query TTTT\nX\n----\n1969-12-31\n23:59:59.5\n1969-12-31 23:59:59.000001\n\\xdead\n', rows(['Date', 'Time', 'Timestamp', 'Bytes'], [[-1, 86399500000, -999999, [222, 173]]]));
    await good('query T\nX\n----\na@b\n', rows(['Text'], [['a\nb']]));
  },
  async 'system columns that a file does not ask for'() {
    const star = rows(['Int', 'BigInt', 'Boolean'], [[1, '99', false]], ['a', '_seq', '_deleted']);
    await good('query I\nX\n----\n1\n', star);
    await good('query IIT\nX\n----\n1 99 f\n', star);
    await bad('query II\nX\n----\n1 99\n', star);
  },
  async 'skipif, onlyif, halt, mode, comments'() {
    const text = (condition: string) => `# c\n${condition}\nstatement ok\nA\n\nstatement ok\nB\n`;
    assert.deepEqual(await sees(text('skipif kalamdb')), ['B']);
    assert.deepEqual(await sees(text('skipif postgresql # why')), ['B']);
    assert.deepEqual(await sees(text('skipif mysql # why')), ['A', 'B']);
    assert.deepEqual(await sees(text('onlyif postgresql')), ['A', 'B']);
    assert.deepEqual(await sees(text('onlyif sqlite')), ['B']);
    assert.deepEqual(await sees(text('onlyif kalamdb-auto')), ['A', 'B']);
    assert.deepEqual(await sees(text('onlyif kalamdb-duckdb')), ['B']);
    assert.deepEqual(await sees(text('skipif mysql\nskipif postgresql')), ['B']);
    assert.deepEqual(await sees(text('onlyif mssql\nhalt')), ['A', 'B']);
    assert.deepEqual(await sees(text('halt')), []);
    assert.deepEqual(await sees(text('mode skip')), []);
    assert.deepEqual(await sees('mode skip\nstatement ok\nA\n\nmode unskip\nstatement ok\nB\n'), ['B']);
    assert.deepEqual(await sees('skipif kalamdb\nquery I\nA\n----\n1\n\nstatement ok\nB\n'), ['B']);
  },
  async 'loops, users, restarts'() {
    assert.deepEqual(await sees('loop i 1 3\nstatement ok\nA ${i}\n\nendloop\n'), ['A 1', 'A 2']);
    assert.deepEqual(await sees('foreach t x y\nloop i 0 2\nstatement ok\nA ${t} ${i}\n\nendloop\nendloop\n'), ['A x 0', 'A x 1', 'A y 0', 'A y 1']);
    assert.deepEqual(await sees('user ann\nstatement ok\nA\n\nrestart\nuser bob service\nuser root\nconnection c1\nstatement ok con2\nB'), ['user ann user', 'A', 'restart', 'user bob service', 'user root user', 'B']);
  },
  'what is not understood is an error'() {
    for (const text of ['wibble', 'statement perhaps\nX', 'statement count\nX', 'query X\nX\n----', 'query I sideways\nX\n----', 'query\nX\n----',
                        'statement ok\n\n', 'loop i 0 1\nstatement ok\nX', 'endloop', 'loop i a b\nendloop', 'mode output_hash', 'onlyif',
                        'statement ok\nX\n----\n1', 'statement error (\nX', 'hash-threshold x']) {
      assert.throws(() => parse(text, names), FormatError, text);
    }
    assert.throws(() => parse('\n\nwibble', names), /^Error: line 3: /);
  },
  async 'a wrong file fails on a real server, record by record'() {
    const server = await Server.start();
    try {
      const root = server.root();
      const target: Target = { sql: (t) => root.sql(t), become: () => Promise.resolve(), restart: () => Promise.resolve() };
      const text = ['statement ok\nSELECT 1', 'statement error\nSELECT 1', 'statement ok\nSELECT nope', 'query I\nSELECT 1\n----\n2', 'query I\nSELECT 2\n----\n2',
                    'query II\nSELECT 1\n----\n1', 'statement error wibble\nSELECT nope', `query I\nSELECT 1\n----\n1 values hashing to ${md5('2\n')}`,
                    'query I nosort x\nSELECT 1', 'query I nosort x\nSELECT 2'].join('\n\n');
      const outcome = await runSteps(parse(text, names), target);
      assert.equal(outcome.passed, 3);
      assert.deepEqual(outcome.failures.map((f) => f.line), [4, 7, 10, 20, 25, 28, 36]);
    } finally {
      await server.stop();
    }
  },
};

export async function selfTests(): Promise<Outcome> {
  const outcome: Outcome = { passed: 0, failures: [] };
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      outcome.passed++;
    } catch (e) {
      outcome.failures.push({ line: 0, text: `${name}\n${(e as Error).message}` });
    }
  }
  return outcome;
}
