// Writes public/*.test: random statements from fixed seeds, with the answers of sqlite3.
//
//   tsx tests/sql/generate.ts
//
// Only what SQLite and PostgreSQL answer alike is generated: no division by zero, no numbers beyond 32 bits, no comparison of a text
// with a number.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../it/lib/random.js';
import { hash, integer, real } from './values.js';

const hashThreshold = 8;
const null_ = '\x01';
const between = '\x1f';

interface Entry {
  sql: string;
  types?: string; // of a query
  sort?: string;
  label?: string;
  before?: string; // directives above the record
}

class Script {
  private readonly entries: Entry[] = [];
  constructor(private readonly title: string) {}
  statement(sql: string, before?: string): void {
    this.entries.push({ sql, before });
  }
  query(types: string, sort: string, sql: string, label?: string, before?: string): void {
    this.entries.push({ sql, types, sort, label, before });
  }
  write(name: string): void {
    const input = this.entries.map((e) => `${e.before?.includes('onlyif mysql') ? '' : e.sql};\n.print "\\036"\n`).join('');
    const done = spawnSync('sqlite3', ['-batch', '-list', '-separator', between, '-nullvalue', null_, ':memory:'], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
    if (done.status !== 0 || done.stderr !== '') {
      throw new Error(`sqlite3: ${done.stderr}`);
    }
    const answers = done.stdout.split('\x1e\n');
    const records = this.entries.map((e, i) => {
      const head = e.before === undefined ? '' : `${e.before}\n`;
      if (e.types === undefined) {
        return `${head}statement ok\n${e.sql}\n`;
      }
      const answer = e.before?.includes('onlyif mysql') ? answers[i + 1] : answers[i]; // the variant that follows
      const rows = answer.split('\n').slice(0, -1).map((l) => l.split(between).map((v, k) => value(v, e.types![k])));
      const values = e.sort === 'rowsort' ? rows.sort(byValues).flat() : e.sort === 'valuesort' ? rows.flat().sort() : rows.flat();
      const shown = values.length > hashThreshold ? [`${values.length} values hashing to ${hash(values)}`] : values;
      return `${head}query ${e.types} ${e.sort}${e.label === undefined ? '' : ` ${e.label}`}\n${e.sql}\n----\n${shown.map((v) => `${v}\n`).join('')}`;
    });
    writeFileSync(join(import.meta.dirname, 'public', name), `# ${this.title}\n\nhash-threshold ${hashThreshold}\n\n${records.join('\n')}`);
    console.log(`${name}: ${this.entries.length} records`);
  }
}

function value(text: string, letter: string): string {
  if (text === null_) {
    return 'NULL';
  }
  return letter === 'I' ? integer(text) : letter === 'R' ? real(Number(text)) : text || '(empty)';
}
function byValues(a: string[], b: string[]): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) {
      return a[i] < b[i] ? -1 : 1;
    }
  }
  return 0;
}
const times = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));

// One table of five small numbers with holes in them; results of expressions, subqueries and CASE over it.
function expressions(random: Random): void {
  const script = new Script('Expressions, CASE and correlated subqueries over one table');
  const columns = ['a', 'b', 'c', 'd', 'e'];
  script.statement('CREATE TABLE t1(a INTEGER, b INTEGER, c INTEGER, d INTEGER, e INTEGER)');
  for (let i = 0; i < 30; i++) {
    const values = columns.map((_, k) => (random.chance(0.1) ? 'NULL' : String(100 + i * 5 + k)));
    const order = columns.map((_, k) => k).sort(() => random.next() - 0.5);
    script.statement(`INSERT INTO t1(${order.map((k) => columns[k])}) VALUES(${order.map((k) => values[k])})`);
  }
  const numbers: (() => string)[] = [
    () => random.pick(columns),
    () => `${random.pick(columns)}-${random.pick(columns)}`,
    () => `abs(${random.pick(columns)}-${random.pick(columns)})`,
    () => `(a+b+c+d+e)/${random.range(2, 7)}`,
    () => 'a+b*2+c*3+d*4+e*5',
    () => `CASE WHEN c>(SELECT avg(c) FROM t1) THEN a*2 ELSE b*10 END`,
    () => `CASE WHEN a<b-${random.range(1, 5)} THEN 111 WHEN a<=b THEN 222 WHEN a<b+3 THEN 333 ELSE 444 END`,
    () => `CASE a+1 WHEN b THEN 111 WHEN c THEN 222 WHEN d THEN 333 WHEN e THEN 444 ELSE 555 END`,
    () => `(SELECT count(*) FROM t1 AS x WHERE x.${random.pick(columns)}<t1.${random.pick(columns)})`,
    () => `coalesce(${random.pick(columns)},${random.pick(columns)},-1)`,
    () => `nullif(${random.pick(columns)},${random.range(100, 250)})`,
    () => `-${random.pick(columns)}`,
  ];
  const conditions: (() => string)[] = [
    () => `${random.pick(columns)}>${random.pick(columns)}`,
    () => `${random.pick(columns)} BETWEEN ${random.range(100, 170)} AND ${random.range(170, 250)}`,
    () => `${random.pick(columns)} NOT BETWEEN ${random.range(100, 170)} AND ${random.range(170, 250)}`,
    () => `${random.pick(columns)} IN (${times(5, () => random.range(100, 250))})`,
    () => `${random.pick(columns)} IS ${random.pick(['', 'NOT '])}NULL`,
    () => `EXISTS(SELECT 1 FROM t1 AS x WHERE x.b<t1.b)`,
    () => `(${random.pick(columns)}>${random.pick(columns)} OR ${random.pick(columns)}<${random.range(110, 240)})`,
    () => `NOT (${random.pick(columns)}>${random.range(110, 240)})`,
    () => `c>(SELECT avg(c) FROM t1)`,
    () => `${random.pick(columns)} NOT IN (SELECT a FROM t1 AS x WHERE x.a IS NOT NULL AND x.a<${random.range(110, 240)})`,
  ];
  for (let i = 0; i < 400; i++) {
    const n = random.range(1, 7);
    const list = times(n, () => random.pick(numbers)());
    const where = random.chance(0.7) ? `\n WHERE ${times(random.range(1, 3), () => random.pick(conditions)()).join(`\n   ${random.pick(['AND', 'OR'])} `)}` : '';
    const select = `SELECT ${list.join(',\n       ')}\n  FROM t1${where}`;
    const label = `label-${i}`;
    if (random.chance(0.5)) {
      script.query('I'.repeat(n), 'rowsort', select, label);
      script.query('I'.repeat(n), 'rowsort', `${select}\n ORDER BY ${list.map((_, k) => k + 1)}`, label);
    } else {
      script.query('I'.repeat(n), random.pick(['rowsort', 'valuesort']), select);
    }
  }
  script.write('expressions.test');
}

// Three tables of words and numbers: joins of all kinds, IN, EXISTS, set operations.
function joins(random: Random): void {
  const script = new Script('Joins, subqueries and set operations over three tables');
  for (let t = 1; t <= 3; t++) {
    script.statement(`CREATE TABLE t${t}(a${t} INTEGER, b${t} INTEGER, c${t} INTEGER, x${t} VARCHAR(30))`);
    for (let i = 0; i < 20; i++) {
      const number = () => (random.chance(0.08) ? 'NULL' : String(random.range(1, 25)));
      script.statement(`INSERT INTO t${t} VALUES(${number()},${number()},${number()},'table t${t} row ${i + 1}')`);
    }
  }
  const column = (t: number) => `${random.pick(['a', 'b', 'c'])}${t}`;
  const condition = (t: number): string =>
    random.pick([
      () => `${column(t)}${random.pick(['=', '<', '>', '<=', '>=', '<>'])}${random.range(1, 25)}`,
      () => `${column(t)} IN (${times(random.range(1, 6), () => random.range(1, 25))})`,
      () => `${column(t)}=${random.range(1, 25)} OR ${column(t)}>${random.range(15, 25)}`,
      () => `${column(t)} IS NOT NULL`,
      () => `x${t} LIKE '%row ${random.range(1, 2)}%'`,
    ])();
  for (let i = 0; i < 120; i++) {
    const [p, q] = random.pick([[1, 2], [2, 3], [1, 3], [3, 1]]);
    const on = `${column(p)}=${column(q)}`;
    const kind = random.int(6);
    const more = `(${condition(p)}) AND (${condition(q)})`;
    if (kind === 0) {
      const label = `join-${i}`;
      script.query('TT', 'rowsort', `SELECT x${p},x${q}\n  FROM t${p},t${q}\n WHERE ${on} AND ${more}`, label);
      script.query('TT', 'rowsort', `SELECT x${p},x${q}\n  FROM t${q} JOIN t${p} ON ${on}\n WHERE ${more}`, label);
    } else if (kind === 1) {
      script.query('TTI', 'rowsort', `SELECT x${p},x${q},${column(q)} FROM t${p} LEFT JOIN t${q} ON ${on} AND ${condition(q)}`);
    } else if (kind === 2) {
      const label = `in-${i}`;
      const c = column(q);
      const d = column(p);
      const inner = condition(q);
      script.query('T', 'rowsort', `SELECT x${p} FROM t${p} WHERE ${d} IN (SELECT ${c} FROM t${q} WHERE ${inner})`, label);
      script.query('T', 'rowsort', `SELECT x${p} FROM t${p} WHERE EXISTS (SELECT 1 FROM t${q} WHERE ${c}=${d} AND (${inner}))`, label);
    } else if (kind === 3) {
      const op = random.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT']);
      script.query('I', 'valuesort', `SELECT ${column(p)} FROM t${p} WHERE ${condition(p)}\n${op}\nSELECT ${column(q)} FROM t${q} WHERE ${condition(q)}`);
    } else if (kind === 4) {
      script.query('TTT', 'valuesort', `SELECT x3,x1,x2\n  FROM t1, t2, t3\n WHERE ${column(1)}=${column(2)}\n   AND ${column(2)}=${column(3)}\n   AND (${condition(1)})`);
    } else {
      script.query('IIR', 'rowsort', `SELECT ${column(p)}, count(*), avg(${column(q)}) FROM t${p} INNER JOIN t${q} ON ${on} GROUP BY 1 HAVING count(*)>=${random.range(1, 3)}`);
    }
  }
  script.write('joins.test');
}

// Long-winded arithmetic over three tables of three rows, aliases and casts in odd places, with variants for other engines.
function wordy(random: Random): void {
  const script = new Script('Signs, parentheses, aliases, casts and aggregates, at length');
  const rows = [[[97, 1, 99], [15, 81, 47], [87, 21, 10]], [[51, 14, 96], [85, 5, 59], [91, 47, 68]], [[64, 77, 40], [75, 67, 58], [46, 51, 23]]];
  rows.forEach((table, t) => {
    script.statement(`CREATE TABLE tab${t}(col0 INTEGER, col1 INTEGER, col2 INTEGER)`);
    table.forEach((row) => script.statement(`INSERT INTO tab${t} VALUES(${row})`));
  });
  const sign = () => random.pick(['', '', '- ', '+ ', '- + ', '+ + ', '- ( - ']).trimStart();
  const signed = (inner: string): string => {
    const s = sign();
    return s.includes('(') ? `${s}${inner} )` : `${s}${inner}`;
  };
  const leaf = (columns: string[]): string => signed(random.chance(0.55) && columns.length > 0 ? random.pick(columns) : String(random.range(0, 99)));
  const expression = (columns: string[], depth: number): string => {
    if (depth === 0) {
      return leaf(columns);
    }
    const inner = () => expression(columns, depth - 1);
    return random.pick([
      () => `${inner()} + ${inner()}`,
      () => `${inner()} - ${inner()}`,
      () => `( ${inner()} ) * ${leaf(columns)}`,
      () => `( ${inner()} ) / ${random.range(1, 60)}`,
      () => `COALESCE ( ${inner()}, ${leaf(columns)} )`,
      () => `NULLIF ( ${inner()}, ${inner()} )`,
      () => `CASE ${leaf(columns)} WHEN ${leaf(columns)} THEN ${inner()} ELSE ${inner()} END`,
      () => `CASE WHEN ${leaf(columns)} > ${leaf(columns)} THEN ${inner()} END`,
      () => `CAST ( ${leaf(columns)} AS INTEGER )`,
      () => `ABS ( ${inner()} )`,
    ])();
  };
  for (let i = 0; i < 350; i++) {
    const t = random.int(3);
    const alias = random.chance(0.5) ? 'cor0' : '';
    const columns = ['col0', 'col1', 'col2'].map((c) => (alias !== '' && random.chance(0.5) ? `cor0.${c}` : c));
    const from = `tab${t}${alias === '' ? '' : random.pick([' AS cor0', ' cor0'])}`;
    const as = () => (random.chance(0.4) ? ` AS ${random.pick(['col0', 'col1', 'col2'])}` : '');
    const kind = random.int(6);
    const select = random.pick(['SELECT', 'SELECT ALL']);
    if (kind === 0) {
      script.query('I', 'rowsort', `SELECT ${expression([], 2)}${as()}`);
    } else if (kind === 1) {
      const f = random.pick(['SUM', 'MIN', 'MAX', 'COUNT']);
      script.query('II', 'rowsort', `${select} ${f} ( ${random.pick(['', 'DISTINCT ', 'ALL '])}${expression(columns, 1)} ), COUNT ( * )${as()} FROM ${from}`);
    } else if (kind === 2) {
      script.query('I', 'rowsort', `SELECT DISTINCT ${expression(columns, 1)}${as()} FROM ${from} WHERE NOT ${expression(columns, 1)} ${random.pick(['<', '>', '=', '<>', '>=', '<='])} ${leaf(columns)}`);
    } else if (kind === 3) {
      script.query('I', 'rowsort', `${select} ${leaf(columns)}${as()} FROM ${from} WHERE ( ${expression(columns, 1)} ) ${random.pick(['', 'NOT '])}BETWEEN ${leaf(columns)} AND ${leaf(columns)}`);
    } else if (kind === 4) {
      const divisor = random.range(1, 30);
      const dividend = leaf(columns);
      const label = `label-${i}`;
      script.query('I', 'rowsort', `SELECT ${dividend} DIV ${divisor} FROM ${from}`, label, 'onlyif mysql # DIV for integer division');
      script.query('I', 'rowsort', `SELECT ${dividend} / ${divisor} FROM ${from}`, label, 'skipif mysql # not compatible');
    } else {
      script.query('II', 'rowsort', `${select} ${expression(columns, 2)}${as()}, ${leaf(columns)} FROM ${from}`);
    }
  }
  script.statement('SELECT TOP 1 col0 FROM tab0', 'onlyif mysql');
  script.write('wordy.test');
}

// GROUP BY, HAVING, DISTINCT and aggregates of numbers, reals and words.
function grouping(random: Random): void {
  const script = new Script('Aggregates, groups, DISTINCT, HAVING, LIMIT');
  script.statement('CREATE TABLE sales(id INTEGER, region VARCHAR(10), product VARCHAR(20), amount INTEGER, price REAL)');
  for (let i = 0; i < 60; i++) {
    const region = random.chance(0.05) ? 'NULL' : `'${random.pick(['north', 'south', 'east', 'west'])}'`;
    const amount = random.chance(0.1) ? 'NULL' : random.range(-5, 40);
    script.statement(`INSERT INTO sales VALUES(${i},${region},'item ${random.range(1, 9)}',${amount},${random.range(1, 400) / 8})`);
  }
  const aggregates: [string, () => string][] = [
    ['I', () => 'count(*)'],
    ['I', () => `count(${random.pick(['amount', 'region', 'DISTINCT product', 'DISTINCT amount'])})`],
    ['I', () => `sum(${random.pick(['amount', 'amount*2', 'amount+id', 'DISTINCT amount'])})`],
    ['R', () => `avg(${random.pick(['amount', 'price', 'amount*price'])})`],
    ['R', () => `sum(price)`],
    ['I', () => `${random.pick(['min', 'max'])}(${random.pick(['amount', 'id', 'amount-id'])})`],
    ['T', () => `${random.pick(['min', 'max'])}(product)`],
    ['I', () => `sum(CASE WHEN amount>${random.range(0, 30)} THEN 1 ELSE 0 END)`],
  ];
  const filters = [() => `amount>${random.range(0, 30)}`, () => `price<${random.range(10, 50)}`, () => `product LIKE '%${random.range(1, 9)}'`, () => 'region IS NOT NULL', () => `id IN (${times(9, () => random.range(0, 60))})`, () => `region IN ('north','west')`];
  const keys: [string, string][] = [['T', 'region'], ['T', 'product'], ['I', 'id/10'], ['I', 'amount/7'], ['I', 'CASE WHEN price>20 THEN 1 ELSE 2 END'], ['I', 'length(region)']];
  for (let i = 0; i < 250; i++) {
    const group = [...keys].sort(() => random.next() - 0.5).slice(0, random.range(0, 2));
    const chosen = times(random.range(1, 3), () => random.pick(aggregates));
    const list = [...group.map((g) => g[1]), ...chosen.map((a) => a[1]())];
    const types = [...group, ...chosen].map((x) => x[0]).join('');
    const where = random.chance(0.6) ? ` WHERE ${random.pick(filters)()}` : '';
    const by = group.length > 0 ? ` GROUP BY ${group.map((g) => g[1]).join(', ')}` : '';
    const having = group.length > 0 && random.chance(0.4) ? ` HAVING ${random.pick(['count(*)>1', 'sum(amount)>20', 'max(price)>30', 'count(DISTINCT product)>2', 'min(id)<20'])}` : '';
    script.query(types, 'rowsort', `SELECT ${list.join(', ')} FROM sales${where}${by}${having}`);
    if (random.chance(0.2)) {
      const n = random.range(1, 9);
      script.query('IT', 'nosort', `SELECT id, product FROM sales${where} ORDER BY product${random.pick([' DESC', ''])}, id${random.pick([' DESC', ''])} LIMIT ${n} OFFSET ${random.range(0, 9)}`);
    }
    if (random.chance(0.2)) {
      script.query('TI', 'rowsort', `SELECT DISTINCT region, ${random.pick(['amount/10', 'id/20', 'length(product)'])} FROM sales${where}`);
    }
  }
  script.write('grouping.test');
}

// The same rows in tables with different indexes: every query has the same answer on each.
function indexes(random: Random): void {
  const script = new Script('The same queries over tables with different indexes');
  const definition = '(pk INTEGER PRIMARY KEY, col0 INTEGER, col1 FLOAT, col2 TEXT, col3 INTEGER, col4 FLOAT, col5 TEXT)';
  script.statement(`CREATE TABLE tab0${definition}`);
  for (let i = 0; i < 50; i++) {
    const real_ = () => `${random.range(0, 999)}.${random.range(1, 9)}${random.pick(['25', '5', '75'])}`;
    script.statement(`INSERT INTO tab0 VALUES(${i},${random.range(0, 999)},${real_()},'${times(4, () => random.pick([...'abcdefgh'])).join('')}',${random.range(0, 99)},${real_()},'${times(2, () => random.pick([...'mnop'])).join('')}')`);
  }
  const plans = [[], ['col0'], ['col3 DESC'], ['col0,col3'], ['col4', 'col1 DESC', 'col0']];
  plans.forEach((plan, t) => {
    if (t > 0) {
      script.statement(`CREATE TABLE tab${t}${definition}`);
      plan.forEach((columns, k) => script.statement(`CREATE INDEX idx_tab${t}_${k} ON tab${t} (${columns})`));
      script.statement(`INSERT INTO tab${t} SELECT pk,col0,col1,col2,col3,col4,col5 FROM tab0`);
    }
  });
  const condition = (): string =>
    random.pick([
      () => `col0 ${random.pick(['<', '>', '<=', '>=', '='])} ${random.range(0, 999)}`,
      () => `col3 ${random.pick(['<', '>', '<=', '>=', '='])} ${random.range(0, 99)}`,
      () => `col4 ${random.pick(['<', '>', '<=', '>='])} ${random.range(0, 999)}.${random.range(1, 99)}`,
      () => `col1 BETWEEN ${random.range(0, 400)}.5 AND ${random.range(400, 999)}.25`,
      () => `col0 IN (${times(5, () => random.range(0, 999))})`,
      () => `col3 IN (SELECT col3 FROM tab0 WHERE col0 > ${random.range(300, 999)})`,
      () => `col0 IS NULL`,
      () => `(col3 > ${random.range(20, 99)} OR col0 < ${random.range(0, 500)})`,
    ])();
  for (let i = 0; i < 120; i++) {
    const where = times(random.range(1, 3), condition).join(random.pick([' AND ', ' OR ']));
    const order = random.chance(0.4) ? `ORDER BY ${random.pick(['col0', 'col3', 'col4', 'col1'])}${random.pick(['', ' DESC'])}, pk${random.pick(['', ' DESC'])}` : '';
    const tables = [...new Set(times(3, () => random.int(plans.length)))];
    for (const t of tables) {
      script.query('II', order === '' ? 'rowsort' : 'nosort', `SELECT pk, col0 FROM tab${t} WHERE ${where} ${order}`.trimEnd(), `label-${i}`);
    }
  }
  script.statement('DROP INDEX idx_tab1_0');
  script.query('I', 'rowsort', 'SELECT pk FROM tab1 WHERE col0 > 500', 'dropped');
  script.query('I', 'rowsort', 'SELECT pk FROM tab0 WHERE col0 > 500', 'dropped');
  plans.forEach((_, t) => script.statement(`DROP TABLE tab${t}`));
  script.write('indexes.test');
}

expressions(new Random(1));
joins(new Random(2));
wordy(new Random(3));
grouping(new Random(4));
indexes(new Random(5));
