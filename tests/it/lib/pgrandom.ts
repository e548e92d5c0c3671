// Random schemas, rows and statements in the SQL that this server and PostgreSQL share. Expressions grow from the forms below:
// {kind} is a random expression of that kind, {a} and {b} are of one random comparable kind, {cmp} is a comparison.
//
// A bare integer literal is a BIGINT here and an INT in PostgreSQL (docs/sql.md, Types): `~7` is such a literal, spelt out by
// forKalam() and forPg().
import type { Random } from './random.js';

export type Kind = 'int2' | 'int4' | 'int8' | 'float4' | 'float8' | 'num' | 'text' | 'bool' | 'date' | 'ts' | 'time' | 'uuid' | 'bytea' | 'json' | 'interval';
export interface Column {
  name: string; // as an expression: "a.c1"
  kind: Kind;
}
export interface Table {
  name: string;
  key: boolean; // "id" is the primary key
  columns: Column[];
}

export function forKalam(sql: string): string {
  return sql.replace(/~(-?\d+)/g, (_, n: string) => (n.startsWith('-') ? `(${n})` : n));
}
export function forPg(sql: string): string {
  return sql.replace(/~(-?\d+)/g, (_, n: string) => `'${n}'::BIGINT`);
}

const stored: Kind[] = ['int2', 'int4', 'int8', 'float4', 'float8', 'num', 'text', 'bool', 'date', 'ts', 'time', 'uuid', 'bytea', 'json'];
const typeNames: Record<Kind, string> = {
  int2: 'SMALLINT', int4: 'INT', int8: 'BIGINT', float4: 'REAL', float8: 'DOUBLE PRECISION', num: 'NUMERIC(12,3)', text: 'TEXT', bool: 'BOOLEAN',
  date: 'DATE', ts: 'TIMESTAMP', time: 'TIME', uuid: 'UUID', bytea: 'BYTEA', json: 'JSONB', interval: 'INTERVAL',
};

// Literals. The tame ones keep arithmetic within its types, so that an error, whose time no one promises, stays rare.
const tame: Record<Kind, string[]> = {
  int2: ['0::SMALLINT', '1::SMALLINT', '-3::SMALLINT', '7::SMALLINT'],
  int4: ['0::INT', '1::INT', '-1::INT', '2::INT', '12::INT', '100::INT'],
  int8: ['~0', '~1', '~-2', '~3', '~10', '~1000'],
  float4: ['0.5::REAL', '-1.25::REAL', '3::REAL'],
  float8: ['0::DOUBLE PRECISION', '0.5::DOUBLE PRECISION', '-2.25::DOUBLE PRECISION', '100::DOUBLE PRECISION'],
  num: ['0.5', '1.25', '-3.1', '10.00', '0.001', '7::NUMERIC(5,0)', '123.456::NUMERIC(9,2)'],
  text: ["''", "'a'", "'B'", "'abc'", "'a%c'", "'a_c'", "' x '", "'\u00e4\u00d6'", "'\u4e2d\u6587'", "'\ud83d\ude00x'", "'it''s'", "'10'", "'a,b,c'", "'Hello World'"],
  bool: ['TRUE', 'FALSE'],
  date: ["DATE '2024-02-29'", "DATE '1970-01-01'", "DATE '2026-12-31'", "DATE '1999-01-01'", "DATE '1850-06-15'"],
  ts: ["TIMESTAMP '2024-02-29 12:34:56.789'", "TIMESTAMP '1969-12-31 23:59:59.999999'", "TIMESTAMP '2026-01-31 00:00:00'", "TIMESTAMP '2001-09-09 01:46:40'"],
  time: ["TIME '00:00:00'", "TIME '12:30:15.5'", "TIME '23:59:59.999999'"],
  uuid: ["'00000000-0000-0000-0000-000000000000'::UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID"],
  bytea: ["'\\x'::BYTEA", "'\\x00ff'::BYTEA", "'\\x616263'::BYTEA", "'\\xdeadbeef'::BYTEA"],
  json: [`'{"a": 1, "b": [1, 2, {"c": null}]}'::JSONB`, `'[1, "x", true, null]'::JSONB`, `'"text"'::JSONB`, `'{"a": {"b": "deep"}, "k": 2.5}'::JSONB`, `'12'::JSONB`, `'{}'::JSONB`],
  interval: ["INTERVAL '1 day'", "INTERVAL '1 month'", "INTERVAL '-2 hours'", "INTERVAL '1 year 2 months 3 days 04:05:06.5'", "INTERVAL '90 minutes'", "INTERVAL '40 days'"],
};
const wild: Partial<Record<Kind, string[]>> = {
  int2: ['32767::SMALLINT', '(-32768)::SMALLINT'],
  int4: ['2147483647::INT', '(-2147483648)::INT', '65536::INT'],
  int8: ['~9223372036854775807', '~-9223372036854775807', '~2147483648', '~1000000007'],
  float4: ["'NaN'::REAL", "'Infinity'::REAL", '3.4e38::REAL', '1e-40::REAL'],
  float8: ["'NaN'::DOUBLE PRECISION", "'-Infinity'::DOUBLE PRECISION", '1.7976931348623157e308::DOUBLE PRECISION', '5e-324::DOUBLE PRECISION', '-0.0::DOUBLE PRECISION', '1e15::DOUBLE PRECISION', '9007199254740993::DOUBLE PRECISION', '2.5::DOUBLE PRECISION'],
  num: ['999999999.999', '-999999999.999', '99999999999999999999.5', '0.0000000001'],
  text: ["'NULL'", "'a\\b'", "'-1'", "' 42 '", "'1e3'", "'tRuE'", "'2024-02-30'", "'2024-02-29'", "'x\ty'", "repeat('ab', 50)"],
  date: ["DATE '0001-01-01'", "DATE '9999-12-31'"],
  ts: ["TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'"],
};

const comparable: Kind[] = ['int2', 'int4', 'int8', 'float8', 'num', 'text', 'bool', 'date', 'ts', 'time', 'uuid', 'bytea'];
const ordered: Kind[] = ['int2', 'int4', 'int8', 'float4', 'float8', 'num', 'text', 'date', 'ts', 'time'];

const integer = (k: Kind, type: string) => [
  `({${k}} + {${k}})`, `({${k}} - {${k}})`, `({${k}} * {${k}})`, `({${k}} / NULLIF({${k}}, 0::${type}))`, `({${k}} % NULLIF({${k}}, 0::${type}))`, `abs({${k}})`, `(-{${k}})`,
  `CAST({int2} AS ${type})`, `CAST({int4} AS ${type})`, `CAST({float8} AS ${type})`, `CAST({num} AS ${type})`, `CAST({digits} AS ${type})`, `mod({${k}}, NULLIF({${k}}, 0::${type}))`,
  `({${k}} & {${k}})`, `({${k}} | {${k}})`, `({${k}} # {${k}})`, `(~ {${k}})`,
];
const generic = (k: Kind) => [
  `COALESCE({${k}}, {${k}})`, `NULLIF({${k}}, {${k}})`, `CASE WHEN {bool} THEN {${k}} ELSE {${k}} END`, `CASE WHEN {bool} THEN {${k}} WHEN {bool} THEN {${k}} END`,
];
const extremes = (k: Kind) => [`GREATEST({${k}}, {${k}})`, `LEAST({${k}}, {${k}}, {${k}})`];

const forms: Record<string, string[]> = {
  digits: ["'12'", "'-3'", "' 7 '", "'0'"],
  small: ['0::INT', '1::INT', '2::INT', '3::INT', '5::INT', '-1::INT'],
  size: ['0::INT', '1::INT', '3::INT', '8::INT'],
  pattern: ["'a%'", "'%b%'", "'_'", "'a\\%c'", "''", "'%'", "'%\u4e2d%'", "'_b%'", "'%c'", '{text}'],
  regex: ["'^a'", "'b+'", "'[a-c]+$'", "'.'", "'(a|x)b?'", "'^$'", "'\\d+'", "'\\s'", "'l{2}'"],
  flags: ["'g'", "'i'", "'gi'"],
  cmp: ['=', '<>', '<', '<=', '>', '>='],
  tsfield: ["'year'", "'month'", "'day'", "'hour'", "'minute'", "'second'", "'dow'", "'doy'", "'quarter'", "'week'", "'epoch'", "'isodow'", "'isoyear'", "'decade'", "'century'", "'millennium'", "'milliseconds'", "'microseconds'"],
  unit: ["'year'", "'month'", "'day'", "'hour'", "'minute'", "'second'", "'quarter'", "'week'", "'decade'", "'century'", "'millennium'", "'milliseconds'", "'microseconds'"],
  datefield: ['year', 'month', 'day', 'dow', 'doy', 'quarter', 'week', 'epoch', 'isodow', 'isoyear', 'decade', 'century', 'millennium'],
  format: ["'YYYY-MM-DD'", "'YY/MM/DD HH24:MI:SS'", "'DDD'", "'HH12:MI:SS.MS'", "'YYYYMMDD HH24MISS US'"],
  key: ["'a'", "'b'", "'k'", "'nosuch'"],
  int2: [...integer('int2', 'SMALLINT').filter((f) => !f.includes('int4')), ...generic('int2'), ...extremes('int2')],
  int4: [
    ...integer('int4', 'INT'), ...generic('int4'), ...extremes('int4'), 'length({text})', 'char_length({text})', 'octet_length({text})', 'octet_length({bytea})', 'bit_length({text})', 'length({bytea})', 'strpos({text}, {text})', 'position({text} in {text})',
    'ascii({text})', '({date} - {date})', 'num_nonnulls({any}, {any})', 'num_nulls({any}, {any}, {any})', 'regexp_count({text}, {regex})', 'regexp_instr({text}, {regex})', 'jsonb_array_length(\'[1,2,3]\'::JSONB)', 'width_bucket({float8}, 0::DOUBLE PRECISION, 10::DOUBLE PRECISION, 5)',
    "get_byte('\\x0102'::BYTEA || {bytea}, 0)", 'gcd({int4}, {int4})', 'lcm({int4}, {int4})', '({int2} + {int4})', '({int4} << {size})', '({int4} >> {size})', 'scale(1.50::NUMERIC(5,2))', 'position({bytea} in {bytea})',
  ],
  int8: [...integer('int8', 'BIGINT'), ...generic('int8'), ...extremes('int8'), '({int4} + {int8})', '({int8} * {int2})', 'gcd({int8}, {int8})', 'lcm({int4}, {int8})', '({int8} << {size})', '({int8} >> {size})'],
  float4: ['({float4} + {float4})', '({float4} * {float4})', '({float4} - {float4})', 'abs({float4})', '(-{float4})', 'CAST({int4} AS REAL)', 'CAST({num} AS REAL)', 'CAST({float8} AS REAL)', ...generic('float4'), ...extremes('float4')],
  float8: [
    '({float8} + {float8})', '({float8} - {float8})', '({float8} * {float8})', '({float8} / NULLIF({float8}, 0::DOUBLE PRECISION))', '(-{float8})', 'abs({float8})', 'floor({float8})', 'ceil({float8})', 'ceiling({float8})', 'round({float8})', 'trunc({float8})', 'sign({float8})',
    'sqrt(abs({float8}))', 'exp(LEAST({float8}, 20::DOUBLE PRECISION))', 'ln(abs({float8}) + 1::DOUBLE PRECISION)', 'log(abs({float8}) + 1::DOUBLE PRECISION)', 'log10(abs({float8}) + 1::DOUBLE PRECISION)', 'cbrt({float8})', 'sin({float8})', 'cos({float8})', 'tan({float8})', 'atan({float8})', 'atan2({float8}, {float8})', 'sinh(LEAST({float8}, 5::DOUBLE PRECISION))', 'tanh({float8})', 'asinh({float8})',
    'degrees({float8})', 'radians({float8})', 'pi()', 'power({float8}, 2::DOUBLE PRECISION)', '(abs({float8}) ^ 0.5::DOUBLE PRECISION)', 'CAST({int4} AS DOUBLE PRECISION)', 'CAST({num} AS DOUBLE PRECISION)', '({float4} + {float8})', '({float8} * {float4})', '({int4} + {float8})', '({float8} - {num})', 'date_part({tsfield}, {ts})', "date_part('hour', {time})", ...generic('float8'), ...extremes('float8'),
    '|/ abs({float8})', '||/ {float8}', '@ {float8}', 'CAST({digits} AS DOUBLE PRECISION)', 'cot(0.5::DOUBLE PRECISION)', 'asin(0.5::DOUBLE PRECISION)', 'acos(0.25::DOUBLE PRECISION)', 'atanh(0.5::DOUBLE PRECISION)', 'acosh(1.5::DOUBLE PRECISION)', 'cosh(LEAST(abs({float8}), 5::DOUBLE PRECISION))',
  ],
  num: [
    '({num} + {num})', '({num} - {num})', '({num} * {num})', '(-{num})', 'abs({num})', '({num} / NULLIF({num}, 0))', '({num} % NULLIF({num}, 0))', 'round({num})', 'round({num}, 1)', 'trunc({num})', 'trunc({num}, 2)', 'ceil({num})', 'floor({num})', 'sign({num})', 'CAST({int4} AS NUMERIC(12,2))', 'CAST({float8} AS NUMERIC(20,4))', 'CAST({num} AS NUMERIC(30,5))', '({num} + {int4})', '({int8} * {num})',
    'EXTRACT({datefield} FROM {date})', 'EXTRACT({datefield} FROM {ts})', 'EXTRACT(second FROM {ts})', 'EXTRACT(hour FROM {time})', 'mod({num}, NULLIF({num}, 0))', 'div({num}, NULLIF({num}, 0))', 'CAST(factorial(5) AS NUMERIC(9,0))', 'trunc({int4})', 'round({int8})', ...generic('num'), ...extremes('num'), 'CAST({digits} AS NUMERIC(10,2))', 'round({num}, -1)', 'trim_scale({num})',
  ],
  text: [
    '({text} || {text})', '({text} || {int4})', '({bool} || {text})', 'lower({text})', 'upper({text})', 'initcap({text})', 'trim({text})', 'btrim({text}, {text})', 'ltrim({text})', 'rtrim({text})', "ltrim({text}, 'a ')", "rtrim({text}, 'cb ')", 'TRIM(BOTH \'a\' FROM {text})', 'substr({text}, {small})', 'substr({text}, {small}, {size})', 'substring({text} FROM {small} FOR {size})', 'substring({text} FROM {regex})', 'left({text}, {small})', 'right({text}, {small})', 'replace({text}, {text}, {text})', 'reverse({text})', 'repeat({text}, {size})',
    'lpad({text}, {size})', "lpad({text}, {size}, '*+')", 'rpad({text}, {size})', "rpad({text}, {size}, 'xy')", "split_part({text}, ',', 1)", "split_part({text}, ',', -1)", "split_part({text}, {text}, 2)", 'concat({word}, {text})', 'concat({text}, {int4}, {bool})', "concat_ws('-', {text}, {int4}, {text})", "translate({text}, 'abc', 'x')", 'chr(65 + {size})', 'md5({text})', 'md5({bytea})', 'to_hex({int4})', 'to_hex({int8})', "overlay({text} placing 'ZZ' from 2 for 1)", 'quote_literal({text})', 'quote_nullable({text})', 'quote_ident({text})', "format('%s-%s', {text}, {int4})", "format('%L|%I', {text}, 'x y')", 'regexp_replace({text}, {regex}, \'<\\&>\')', "regexp_replace({text}, {regex}, 'z', {flags})", 'regexp_substr({text}, {regex})',
    "encode({bytea}, 'hex')", "encode({bytea}, 'base64')", "encode({bytea}, 'escape')", 'CAST({int4} AS TEXT)', 'CAST({int8} AS TEXT)', 'CAST({bool} AS TEXT)', 'CAST({date} AS TEXT)', 'CAST({ts} AS TEXT)', 'CAST({time} AS TEXT)', 'CAST({uuid} AS TEXT)', 'CAST({float8} AS TEXT)', 'CAST({float4} AS TEXT)', 'CAST({bytea} AS TEXT)', 'CAST({interval} AS TEXT)', 'to_char({ts}, {format})', 'to_char({date}, {format})', "({json} ->> {key})", "({json} -> 'b' ->> 0)", "({json} #>> '{a,b}')", 'jsonb_typeof({json})', ...generic('text'), ...extremes('text'), '{text}::TEXT',
  ],
  bool: [
    '({bool} AND {bool})', '({bool} OR {bool})', '(NOT {bool})', '({a} {cmp} {a})', '({a} {cmp} {a})', '({a} {cmp} {a})', '({number} {cmp} {number})', '({date} {cmp} {ts})', '({any} IS NULL)', '({any} IS NOT NULL)', '({a} IS DISTINCT FROM {a})', '({a} IS NOT DISTINCT FROM {a})', '({a} BETWEEN {a} AND {a})', '({a} NOT BETWEEN {a} AND {a})', '({a} BETWEEN SYMMETRIC {a} AND {a})', '({a} IN ({a}, {a}))', '({a} NOT IN ({a}, {a}, {a}))', '({a} = ANY (ARRAY[{a}, {a}]))', '({int4} IN ({int8}, {int4}, NULL))',
    '({text} LIKE {pattern})', '({text} NOT LIKE {pattern})', '({text} ILIKE {pattern})', "({text} LIKE {pattern} ESCAPE '!')", '({text} ~ {regex})', '({text} !~ {regex})', '({text} ~* {regex})', "({text} SIMILAR TO '(a|b)%')", "({text} SIMILAR TO '_[a-c]+')", 'starts_with({text}, {text})', '({text} ^@ {text})', '({bool} IS TRUE)', '({bool} IS NOT TRUE)', '({bool} IS FALSE)', '({bool} IS UNKNOWN)', '({bool} IS NOT UNKNOWN)', 'COALESCE({bool}, {bool})', 'CASE WHEN {bool} THEN {bool} ELSE {bool} END', 'CAST({int4} AS BOOLEAN)', "CAST('yes' AS BOOLEAN)", 'regexp_like({text}, {regex})', '({json} ? {key})', "({json} @> '{\"a\": 1}')", '(({a}, {b}) = ({a}, {b}))', '(({a}, {b}) < ({a}, {b}))', 'CASE {a} WHEN {a} THEN {bool} WHEN {a} THEN {bool} ELSE {bool} END', '(({date}, {date}) OVERLAPS ({date}, {date}))', 'isfinite({date})', '({bool} = {bool})',
  ],
  date: ['({date} + {small})', '({date} - {small})', 'CAST({ts} AS DATE)', 'make_date(2024, 2, 29)', "CAST('2024-01-05' AS DATE)", "to_date('2024-03-01', 'YYYY-MM-DD')", ...generic('date'), ...extremes('date')],
  ts: ['({ts} + {interval})', '({ts} - {interval})', '({date} + {interval})', '({date} + {time})', 'date_trunc({unit}, {ts})', 'CAST({date} AS TIMESTAMP)', 'make_timestamp(2024, 2, 29, 12, 30, 5.5)', "CAST('2024-01-05 10:00:00.25' AS TIMESTAMP)", "date_bin(INTERVAL '15 minutes', {ts}, TIMESTAMP '2001-01-01')", ...generic('ts'), ...extremes('ts')],
  time: ['CAST({ts} AS TIME)', "CAST('10:11:12.5' AS TIME)", 'make_time(8, 15, 23.5)', '({time} + {interval})', '({time} - {interval})', ...generic('time'), ...extremes('time')],
  uuid: generic('uuid'),
  bytea: ['({bytea} || {bytea})', "decode('616263', 'hex')", "convert_to({text}, 'UTF8')", 'substr({bytea}, 1, 2)', 'sha256({bytea})', 'set_byte(\'\\x0102\'::BYTEA, 1, 7)', ...generic('bytea')],
  json: ['({json} -> {key})', "({json} -> 'b' -> 1)", "({json} #> '{a,b}')", "jsonb_build_object('x', {int4}, 'y', {text})", 'jsonb_build_array({int4}, {text}, {bool})', 'to_jsonb({int4})', 'to_jsonb({text})', ...generic('json')],
  interval: ['({ts} - {ts})', '({time} - {time})', '({interval} + {interval})', '({interval} * 2)', '(-{interval})', 'age({ts}, {ts})', 'make_interval(days => {small})', 'justify_days({interval})', 'justify_hours({interval})', "date_trunc('hour', {interval})", ...generic('interval')],
};

// Arguments of aggregates, by the kind of the result.
const aggregates: [kind: Kind, form: string][] = [
  ['int8', 'count(*)'], ['int8', 'count({any})'], ['int8', 'count(DISTINCT {a})'], ['int8', 'sum({int4})'], ['int8', 'sum({int2})'], ['num', 'sum({int8})'], ['num', 'sum({num})'], ['float8', 'sum({col:float8})'], ['num', 'avg({int4})'], ['num', 'avg({num})'], ['float8', 'avg({col:float8})'], ['num', 'sum(DISTINCT {num})'], ['int8', 'sum(DISTINCT {int4})'],
  ['int4', 'min({int4})'], ['int8', 'max({int8})'], ['text', 'min({text})'], ['text', 'max({text})'], ['date', 'min({date})'], ['ts', 'max({ts})'], ['num', 'max({num})'], ['float8', 'min({float8})'], ['time', 'max({time})'], ['float4', 'max({float4})'],
  ['bool', 'bool_and({bool})'], ['bool', 'bool_or({bool})'], ['bool', 'every({bool})'], ['int4', 'bit_and({int4})'], ['int8', 'bit_or({int8})'], ['int4', 'bit_xor({int4})'], ['text', "string_agg({text}, ',' ORDER BY {t1})"], ['text', "string_agg(DISTINCT {col:text}, '|' ORDER BY {same})"],
  ['float8', 'stddev({col:float8})'], ['float8', 'stddev_pop({col:float8})'], ['float8', 'var_samp({col:float8})'], ['float8', 'var_pop({col:float8})'], ['num', 'variance({int4})'], ['float8', 'corr({col:float8}, {col:float8})'], ['float8', 'covar_pop({col:float8}, {col:float8})'], ['float8', 'regr_slope({col:float8}, {col:float8})'], ['int8', 'regr_count({float8}, {float8})'],
  ['float8', 'percentile_cont(0.5) WITHIN GROUP (ORDER BY {float8})'], ['int4', 'percentile_disc(0.25) WITHIN GROUP (ORDER BY {int4})'], ['int4', 'mode() WITHIN GROUP (ORDER BY {int4})'],
];

export interface Statement {
  sql: string; // with ~literals
  sorted: boolean; // the order of its rows is given
  writes?: string; // the table that it changes
}

export class Generator {
  private aliases = 0;
  private columns: Column[] = [];
  constructor(
    private readonly r: Random,
    readonly wildness: number, // how often a literal is an edge of its type
  ) {}

  // Schemas and rows.
  table(name: string): Table {
    const r = this.r;
    const kinds = r.chance(0.5) ? [...stored] : Array.from({ length: r.range(2, 9) }, () => r.pick(stored));
    const columns = kinds.map((kind, i) => ({ name: `c${i}`, kind }));
    return { name, key: r.chance(0.7), columns: [{ name: 'id', kind: 'int4' }, ...columns] };
  }
  create(t: Table): string {
    const columns = t.columns.map((c) => `${c.name} ${c.kind === 'num' ? this.r.pick(['NUMERIC(12,3)', 'NUMERIC(10,2)', 'DECIMAL(18,6)', 'NUMERIC(5,0)']) : typeNames[c.kind]}${c.name === 'id' && t.key ? ' PRIMARY KEY' : ''}`);
    return `CREATE TABLE ${t.name} (${columns.join(', ')})`;
  }
  value(kind: Kind): string {
    const r = this.r;
    if (r.chance(0.15)) {
      return 'NULL';
    }
    const edge = wild[kind];
    if (edge !== undefined && kind !== 'num' && kind !== 'text' && r.chance(this.wildness)) {
      return r.pick(edge);
    }
    return kind === 'num' ? r.pick(['0', '1.5', '-2.25', '99', '12.3', '0.1']) : kind === 'float8' && r.chance(0.5) ? `${r.range(-80, 80) / 8}::DOUBLE PRECISION` : kind === 'int4' && r.chance(0.5) ? `${r.range(0, 9)}` : r.pick(tame[kind]);
  }
  rows(t: Table, first: number, count: number): string {
    const rows = Array.from({ length: count }, (_, i) => `(${t.columns.map((c, k) => (k === 0 ? String(first + i) : this.value(c.kind))).join(', ')})`);
    return `INSERT INTO ${t.name} (${t.columns.map((c) => c.name).join(', ')}) VALUES ${rows.join(', ')}`;
  }

  // Expressions.
  private leaf(kind: Kind): string {
    const r = this.r;
    const own = this.columns.filter((c) => c.kind === kind);
    if (own.length > 0 && r.chance(0.7)) {
      return r.pick(own).name;
    }
    if (r.chance(0.05)) {
      return `NULL::${typeNames[kind]}`;
    }
    const edge = wild[kind];
    return r.pick(edge !== undefined && r.chance(this.wildness) ? edge : tame[kind]);
  }
  expr(kind: string, depth: number): string {
    const r = this.r;
    if (kind === 'any') {
      return this.expr(r.pick(stored), depth);
    }
    if (kind === 'word') { // what is the same text whatever its type's digits are
      return this.expr(r.pick(['int2', 'int4', 'int8', 'float8', 'text', 'bool', 'date', 'ts', 'time', 'uuid', 'interval']), depth);
    }
    if (kind === 'number') {
      return this.expr(r.pick(['int2', 'int4', 'int8', 'float8', 'num']), depth);
    }
    if (kind in typeNames && (depth <= 0 || r.chance(0.3))) {
      return this.leaf(kind as Kind);
    }
    return this.fill(r.pick(forms[kind]), depth - 1);
  }
  private fill(form: string, depth: number): string {
    const [a, b] = [this.r.pick(comparable), this.r.pick(comparable)];
    let last = '';
    return form.replace(/\{([a-z0-9:]+)\}/g, (whole, what: string) => {
      if (what === 'same') {
        return last;
      }
      if (what === 't1') {
        const keys = this.columns.filter((c) => comparable.includes(c.kind)); // rows that tie are alike
        return keys.length > 0 ? keys.map((c) => c.name).join(', ') : '1';
      }
      if (what.startsWith('col:')) {
        return (last = this.leaf(what.slice(4) as Kind));
      }
      const kind = what === 'a' ? a : what === 'b' ? b : what;
      return kind in forms || kind in typeNames || ['any', 'word', 'number'].includes(kind) ? this.expr(kind, depth) : whole;
    });
  }
  // Runs make() with these columns in scope; they hide what was there unless outer is kept.
  private within<T>(columns: Column[], make: () => T): T {
    const before = this.columns;
    this.columns = columns;
    try {
      return make();
    } finally {
      this.columns = before;
    }
  }
  private aggregate(): { kind: Kind; text: string } {
    const r = this.r;
    // docs/differences.md, Statements that run in DuckDB: NaN and infinities in these.
    const sane = aggregates.filter(([, form]) => this.wildness === 0 || !/^(stddev|var_|corr|covar|regr_s|percentile_cont)/.test(form));
    const [kind, form] = r.pick(sane);
    const filter = r.chance(0.2) ? ` FILTER (WHERE ${this.expr('bool', 1)})` : '';
    return { kind, text: this.fill(form, r.int(2)) + filter };
  }
  private alias(): string {
    return `q${++this.aliases}`;
  }

  // FROM: its text and what it brings into scope.
  private source(tables: Table[], depth: number): { text: string; columns: Column[] } {
    const r = this.r;
    const alias = this.alias();
    const under = (columns: Column[]) => columns.map((c) => ({ name: `${alias}.${c.name}`, kind: c.kind }));
    if (depth > 0 && r.chance(0.2)) {
      const q = this.within([], () => this.query(tables, depth - 1));
      return { text: `(${q.sql}) AS ${alias}`, columns: under(q.columns) };
    }
    if (depth > 0 && r.chance(0.06)) {
      const kinds = Array.from({ length: r.range(1, 3) }, () => r.pick(comparable));
      const rows = this.within([], () => Array.from({ length: r.range(1, 4) }, () => `(${kinds.map((k) => this.expr(k, 1)).join(', ')})`));
      const names = kinds.map((_, i) => `v${i}`);
      return { text: `(VALUES ${rows.join(', ')}) AS ${alias}(${names.join(', ')})`, columns: under(names.map((name, i) => ({ name, kind: kinds[i] }))) };
    }
    if (depth > 0 && r.chance(0.04)) {
      return { text: `generate_series(1, ${r.range(0, 5)}) AS ${alias}(n)`, columns: under([{ name: 'n', kind: 'int4' }]).slice(0, 0) };
    }
    const t = r.pick(tables);
    return { text: `${t.name} AS ${alias}`, columns: under(t.columns) };
  }
  private from(tables: Table[], depth: number): { text: string; columns: Column[] } {
    const r = this.r;
    let { text, columns } = this.source(tables, depth);
    for (let joins = depth > 0 && r.chance(0.4) ? r.range(1, 2) : 0; joins > 0; joins--) {
      const kind = r.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'CROSS JOIN', 'LATERAL', ',']);
      if (kind === 'LATERAL') {
        const alias = this.alias();
        const q = this.within([], () => this.query(tables, 0, columns));
        text = `${text} ${r.pick(['CROSS JOIN LATERAL', 'LEFT JOIN LATERAL'])} (${q.sql}) AS ${alias}`;
        text += text.includes(`LEFT JOIN LATERAL (${q.sql})`) ? ' ON TRUE' : '';
        columns = [...columns, ...q.columns.map((c) => ({ name: `${alias}.${c.name}`, kind: c.kind }))];
        continue;
      }
      const right = this.source(tables, depth - 1);
      const both = [...columns, ...right.columns];
      const pairs = columns.flatMap((a) => right.columns.filter((b) => a.kind === b.kind && comparable.includes(a.kind)).map((b) => [a.name, b.name]));
      const equal = pairs.length > 0 ? r.pick(pairs) : ['1', '1'];
      // A full join takes only equalities in PostgreSQL.
      const extra = kind !== 'FULL JOIN' && r.chance(0.3) ? ` AND ${this.within(both, () => this.expr('bool', 1))}` : '';
      text = kind === ',' || kind === 'CROSS JOIN' ? `${text} CROSS JOIN ${right.text}` : `${text} ${kind} ${right.text} ON ${equal.join(' = ')}${extra}`;
      columns = both;
    }
    return { text, columns };
  }
  private condition(tables: Table[], depth: number): string {
    const r = this.r;
    if (depth > 0 && r.chance(0.25)) {
      const outer = this.columns;
      const inner = r.pick(tables);
      const alias = this.alias();
      const columns = inner.columns.map((c) => ({ name: `${alias}.${c.name}`, kind: c.kind }));
      const where = this.within(r.chance(0.5) ? [...columns, ...outer] : columns, () => this.expr('bool', 2));
      const pairs = outer.flatMap((a) => columns.filter((b) => a.kind === b.kind && comparable.includes(a.kind)).map((b) => [a.name, b.name]));
      if (pairs.length === 0) {
        return `EXISTS (SELECT 1 FROM ${inner.name} AS ${alias} WHERE ${where})`;
      }
      const [a, b] = r.pick(pairs);
      return r.pick([
        `EXISTS (SELECT 1 FROM ${inner.name} AS ${alias} WHERE ${b} = ${a} AND ${where})`, `NOT EXISTS (SELECT 1 FROM ${inner.name} AS ${alias} WHERE ${b} = ${a} AND ${where})`,
        `${a} IN (SELECT ${b} FROM ${inner.name} AS ${alias} WHERE ${where})`, `${a} NOT IN (SELECT ${b} FROM ${inner.name} AS ${alias} WHERE ${where})`, `${a} > ALL (SELECT ${b} FROM ${inner.name} AS ${alias} WHERE ${where})`, `${a} = ANY (SELECT ${b} FROM ${inner.name} AS ${alias} WHERE ${where})`,
        `${a} >= (SELECT max(${b}) FROM ${inner.name} AS ${alias} WHERE ${where})`.replace('max', /bool|uuid|bytea/.test(outer.find((c) => c.name === a)!.kind) ? 'count(*) IS NOT NULL AND NULL IS NOT DISTINCT FROM ' : 'max').replace(/>= \(SELECT count\(\*\).*/, 'IS NOT NULL'),
      ]);
    }
    return this.expr('bool', 3);
  }
  private output(tables: Table[], depth: number): { kind: Kind; text: string } {
    const r = this.r;
    const kind: Kind = r.chance(0.06) ? 'interval' : r.pick(stored);
    if (depth > 0 && r.chance(0.06)) {
      const inner = r.pick(tables);
      const alias = this.alias();
      const columns = inner.columns.map((c) => ({ name: `${alias}.${c.name}`, kind: c.kind }));
      const outer = this.columns;
      const where = this.within([...columns, ...outer], () => this.expr('bool', 1));
      const a = this.within(columns, () => this.aggregate());
      return { kind: a.kind, text: `(SELECT ${a.text} FROM ${inner.name} AS ${alias} WHERE ${where})` };
    }
    return { kind, text: this.expr(kind, 3) };
  }
  private windowed(): { kind: Kind; text: string } {
    const r = this.r;
    const key = this.columns.filter((c) => comparable.includes(c.kind)).map((c) => c.name); // rows that tie are alike
    const partition = r.chance(0.5) ? `PARTITION BY ${this.leaf(r.pick(comparable))} ` : '';
    const order = `ORDER BY ${[this.leaf(r.pick(ordered)) + r.pick(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST']), ...key].join(', ')}`;
    const frame = r.chance(0.3) ? ` ${r.pick(['ROWS BETWEEN 1 PRECEDING AND CURRENT ROW', 'ROWS UNBOUNDED PRECEDING', 'ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING', 'RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW', 'GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING', 'ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING'])}` : '';
    const k = r.pick(['int4', 'text', 'float8', 'num', 'date'] as Kind[]);
    const [kind, call, framed] = r.pick<[Kind, string, boolean]>([
      ['int8', 'row_number()', false], ['int8', 'rank()', false], ['int8', 'dense_rank()', false], ['float8', 'percent_rank()', false], ['float8', 'cume_dist()', false], ['int4', 'ntile(3)', false], [k, `lag(${this.leaf(k)})`, false], [k, `lead(${this.leaf(k)}, 2)`, false], [k, `lag(${this.leaf(k)}, 1, ${this.r.pick(tame[k])})`, false],
      [k, `first_value(${this.leaf(k)})`, true], [k, `last_value(${this.leaf(k)})`, true], [k, `nth_value(${this.leaf(k)}, 2)`, true], ['int8', 'count(*)', true], ['int8', `sum(${this.leaf('int4')})`, true], ['num', `avg(${this.leaf('int4')})`, true], ['num', `sum(${this.leaf('num')})`, true], ['text', `max(${this.leaf('text')})`, true], ['int8', `count(*) FILTER (WHERE ${this.leaf('bool')})`, true],
    ]);
    return { kind, text: `${call} OVER (${partition}${order}${framed ? frame : ''})` };
  }

  // A SELECT without ORDER BY and LIMIT, whose columns are named o0, o1, …
  query(tables: Table[], depth: number, outer: Column[] = []): { sql: string; columns: Column[] } {
    const r = this.r;
    const from = this.from(tables, depth);
    return this.within([...from.columns, ...(r.chance(0.7) ? outer : [])], () => {
      const where = r.chance(0.7) ? ` WHERE ${this.condition(tables, depth)}` : '';
      const done = (list: { kind: Kind; text: string }[], rest: string, distinct = '') => ({
        sql: `SELECT ${distinct}${list.map((o, i) => `${o.text} AS o${i}`).join(', ')} FROM ${from.text}${where}${rest}`,
        columns: list.map((o, i) => ({ name: `o${i}`, kind: o.kind })),
      });
      const choice = r.next();
      if (choice < 0.12) {
        return done(Array.from({ length: r.range(1, 3) }, () => this.aggregate()), r.chance(0.2) ? ` HAVING count(*) > ${r.int(4)}` : '');
      }
      if (choice < 0.3) {
        const keys = Array.from({ length: r.range(1, 2) }, () => {
          const kind = r.pick(comparable);
          return { kind, text: this.within(from.columns, () => this.expr(kind, r.chance(0.7) ? 0 : 2)) };
        }).filter((k) => /q\d+\./.test(k.text));
        const list = [...keys, ...Array.from({ length: r.range(1, 3) }, () => this.aggregate())];
        const group = keys.length > 0 ? ` GROUP BY ${keys.map((k, i) => (r.chance(0.5) ? String(i + 1) : k.text)).join(', ')}` : '';
        return done(list, group + (r.chance(0.3) ? ` HAVING ${r.pick(['count(*) > 1', 'min(q.id) IS NOT NULL', 'count(*) BETWEEN 1 AND 3']).replace('q.id', from.columns[0]?.name ?? '1')}` : ''));
      }
      if (choice < 0.4 && depth > 0 && from.columns.length > 0 && from.columns.every((c) => comparable.includes(c.kind) || /\.c\d+$/.test(c.name))) {
        return done([this.windowed(), this.output(tables, 0), ...(from.columns.length > 0 ? [from.columns[0]].map((c) => ({ kind: c.kind, text: c.name })) : [])], '');
      }
      const list = Array.from({ length: r.range(1, 3) }, () => this.output(tables, depth));
      const distinct = r.chance(0.1) && list.every((o) => o.kind !== 'json' && o.kind !== 'float4') ? 'DISTINCT ' : '';
      return done(list, '', distinct);
    });
  }
  // A whole SELECT; `depth` 0 is one table.
  select(tables: Table[], depth: number): Statement {
    const r = this.r;
    this.aliases = 0;
    let ctes = '';
    let sources = tables;
    if (depth > 0 && r.chance(0.12)) {
      const q = this.query(tables, depth - 1);
      ctes = `WITH w1 AS ${r.pick(['', 'MATERIALIZED ', 'NOT MATERIALIZED '])}(${q.sql}) `;
      sources = [...tables, { name: 'w1', key: false, columns: q.columns }];
    } else if (depth > 0 && r.chance(0.04)) {
      ctes = `WITH RECURSIVE w1(n, t) AS (SELECT 1::INT, 'a'::TEXT UNION ALL SELECT n + 1::INT, t || 'b' FROM w1 WHERE n < ${r.range(1, 6)}::INT) `;
      sources = [...tables, { name: 'w1', key: false, columns: [{ name: 'n', kind: 'int4' }, { name: 't', kind: 'text' }] }];
    }
    let q = this.query(sources, depth);
    if (depth > 0 && r.chance(0.1)) {
      q = this.setOperation(sources, depth);
    }
    if (!r.chance(0.6) || q.columns.some((c) => c.kind === 'json' || c.kind === 'interval')) {
      return { sql: ctes + q.sql, sorted: false };
    }
    const order = q.columns.map((_, i) => `${i + 1}${r.pick(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST', ' ASC'])}`);
    const limit = r.chance(0.4) ? ` LIMIT ${r.int(8)}${r.chance(0.5) ? ` OFFSET ${r.int(5)}` : ''}` : '';
    return { sql: `${ctes}${q.sql} ORDER BY ${order.join(', ')}${limit}`, sorted: true };
  }
  private setOperation(tables: Table[], depth: number): { sql: string; columns: Column[] } {
    const r = this.r;
    const kinds = Array.from({ length: r.range(1, 3) }, () => r.pick(comparable));
    const side = () => {
      const from = this.from(tables, Math.min(depth - 1, 1));
      return this.within(from.columns, () => `SELECT ${kinds.map((k, i) => `${this.expr(k, 2)} AS o${i}`).join(', ')} FROM ${from.text}${r.chance(0.5) ? ` WHERE ${this.expr('bool', 2)}` : ''}`);
    };
    const operator = () => `${r.pick(['UNION', 'INTERSECT', 'EXCEPT'])}${r.pick(['', ' ALL'])}`;
    const sql = r.chance(0.3) ? `(${side()}) ${operator()} (${side()} ${operator()} ${side()})` : `${side()} ${operator()} ${side()}`;
    return { sql, columns: kinds.map((kind, i) => ({ name: `o${i}`, kind })) };
  }
  // One row, one expression after another: errors have to agree.
  single(t: Table, id: number): Statement {
    const columns = t.columns;
    return this.within(columns, () => {
      const kind = this.r.pick([...stored, 'interval'] as Kind[]);
      return { sql: `SELECT ${this.expr(kind, 3)} AS o0 FROM ${t.name} WHERE id = ${id}`, sorted: true };
    });
  }

  // A condition over one table.
  predicate(t: Table): string {
    return this.within(t.columns, () => this.expr('bool', 3));
  }

  write(tables: Table[], next: () => number): Statement {
    const r = this.r;
    this.aliases = 0;
    const t = r.pick(tables);
    const where = () => this.within(t.columns, () => (r.chance(0.3) ? `id ${r.pick(['=', '<', '>'])} ${r.int(30)}` : this.expr('bool', 2)));
    const set = (columns: Column[]) =>
      this.within(columns, () => t.columns.slice(1).filter(() => r.chance(0.25)).concat(r.pick(t.columns.slice(1))).filter((c, i, all) => all.indexOf(c) === i).map((c) => `${c.name} = ${c.kind === 'num' ? this.leaf('num') : this.expr(c.kind, 2)}`).join(', '));
    const list = t.columns.map((c) => c.name).join(', ');
    const fresh = () => this.within([], () => `${next()}, ${t.columns.slice(1).map((c) => (r.chance(0.3) && c.kind !== 'num' ? this.expr(c.kind, 2) : this.value(c.kind))).join(', ')}`);
    const returning = () => (r.chance(0.3) ? ` RETURNING ${r.pick(['id', list, `id, ${this.within(t.columns, () => this.expr(r.pick(comparable), 2))} AS o1`])}` : '');
    const other = r.pick(tables);
    const named = (alias: string, x: Table) => x.columns.map((c) => ({ name: `${alias}.${c.name}`, kind: c.kind }));
    const from = () => this.within(named('s', other), () => t.columns.slice(1).map((c) => (c.kind === 'num' ? this.leaf('num') : this.expr(c.kind, 1))).join(', '));
    const base = next();
    for (let i = 0; i < 50; i++) {
      next();
    }
    const sql = r.pick([
      () => `INSERT INTO ${t.name} (${list}) VALUES (${fresh()})${returning()}`,
      () => `INSERT INTO ${t.name} (${list}) VALUES (${fresh()}), (${fresh()})${returning()}`,
      () => `INSERT INTO ${t.name} (${list}) SELECT s.id + ${base}, ${from()} FROM ${other.name} AS s WHERE s.id < 5${returning()}`,
      () => `INSERT INTO ${t.name} (${list}) VALUES (${r.int(20)}, ${fresh().replace(/^\d+, /, '')}) ON CONFLICT ${r.pick(['(id) ', ''])}DO NOTHING${returning()}`,
      () => `INSERT INTO ${t.name} (${list}) VALUES (${r.int(20)}, ${fresh().replace(/^\d+, /, '')}) ON CONFLICT (id) DO UPDATE SET ${this.excluded(t)}${returning()}`,
      () => `UPDATE ${t.name} SET ${set(t.columns)} WHERE ${where()}${returning()}`,
      () => `UPDATE ${t.name} SET ${set(t.columns)} WHERE ${where()}${returning()}`,
      () => `UPDATE ${t.name} AS t SET ${set(named('t', t))} FROM ${other.name} AS s WHERE t.id = s.id AND ${this.within([...named('t', t), ...named('s', other)], () => this.expr('bool', 1))}`,
      () => `DELETE FROM ${t.name} WHERE id % 7 = ${r.int(7)} AND ${where()}${returning()}`,
      () => `DELETE FROM ${t.name} AS t USING ${other.name} AS s WHERE t.id = s.id AND s.id % 5 = ${r.int(5)}`,
      () => `DELETE FROM ${t.name} WHERE id > ${r.range(15, 40)} AND id IN (SELECT s.id FROM ${other.name} AS s)`,
    ])();
    return { sql, sorted: false, writes: t.name };
  }
  private excluded(t: Table): string {
    const columns = t.columns.slice(1);
    const c = this.r.pick(columns);
    const both = [...t.columns.map((x) => ({ name: `excluded.${x.name}`, kind: x.kind })), ...t.columns.map((x) => ({ name: `${t.name}.${x.name}`, kind: x.kind }))];
    return `${c.name} = ${this.within(both, () => (c.kind === 'num' ? `excluded.${c.name}` : this.expr(c.kind, 1)))}`;
  }
}
