// Live queries: under random writes each client's copy equals a fresh SELECT whenever nothing is under way. Then message shapes,
// options, refusals, limits, expiry.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Copy, canonical, type KeyMode } from './lib/copy.js';
import type { Client } from './lib/http.js';
import { eventually, scaled, seeded, sleep, type Random } from './lib/random.js';
import { Server } from './lib/server.js';
import { Socket, type Ack, type Batch, type Change, type Message } from './lib/ws.js';

let server: Server;
let root: Client;
let alice: Client;
let bob: Client;
before(async () => {
  server = await Server.start();
  root = server.root();
  await root.message('CREATE NAMESPACE l');
  const columns = 'a INT, b TEXT, c DOUBLE, d BOOLEAN, ts TIMESTAMP';
  await root.message(`CREATE TABLE l.own (id BIGINT PRIMARY KEY, ${columns}) WITH (TYPE='USER')`);
  await root.message(`CREATE TABLE l.nokey (id BIGINT, ${columns}) WITH (TYPE='USER')`);
  await root.message(`CREATE TABLE l.pool (id BIGINT PRIMARY KEY, ${columns}) WITH (TYPE='SHARED')`);
  await root.message(`CREATE TABLE l.gone (id BIGINT, ${columns}) WITH (TYPE='STREAM', TTL_SECONDS=3600)`);
  alice = await server.createUser('alice', 'service');
  bob = await server.createUser('bob', 'service');
});
after(async () => {
  await server.stop();
});

const filters = [
  '', ' WHERE a = 3', ' WHERE a > 4', ' WHERE a IN (1, 2, 3)', ' WHERE a IS NULL', ' WHERE b IS NOT NULL AND a < 5', " WHERE b LIKE 'x%'", ' WHERE a BETWEEN 2 AND 6',
  " WHERE a = 1 OR b = 'y1'", ' WHERE NOT (a > 3)', " WHERE b = 'x1' AND d", ' WHERE c < 0.5 OR c IS NULL', ' WHERE a + 1 > 5', " WHERE lower(b) = 'y2'", " WHERE b NOT LIKE '%1'",
  ' WHERE a <> 2', ' WHERE d IS NOT TRUE', " WHERE (a = 1 AND b = 'x1') OR (a = 2 AND b = 'x2')", ' WHERE a NOT IN (1, NULL)', " WHERE b = CURRENT_USER()", " WHERE b ILIKE 'X_'",
  ' WHERE COALESCE(a, 9) = 9', " WHERE ts > '2026-01-05 00:00:00'", ' WHERE id % 3 = 0', ' WHERE a = -1',
];
const projections = ['*', 'id, a', 'b', 'a, b, c, d, ts', 'c, id'];

function literal(random: Random, column: string): string {
  if (random.chance(0.15)) {
    return 'NULL';
  }
  switch (column) {
    case 'a':
      return String(random.range(-1, 8));
    case 'b':
      return random.pick(["'x1'", "'x2'", "'y1'", "'Y2'", "'alice'", "'bob'", "''", "'%'"]);
    case 'c':
      return String(random.range(-4, 8) / 4);
    case 'd':
      return random.pick(['TRUE', 'FALSE']);
    default:
      return `'2026-01-0${random.range(1, 9)} 12:00:00'`;
  }
}
const columns = ['a', 'b', 'c', 'd', 'ts'];

class Writer {
  private id: number;
  constructor(
    readonly client: Client,
    readonly table: string,
    readonly random: Random,
    readonly stream: boolean,
    first: number,
  ) {
    this.id = first;
  }
  private where(): string {
    return this.random.chance(0.6) ? ` WHERE id = ${this.id - this.random.int(30)}` : ` WHERE a = ${this.random.range(0, 8)} AND d`;
  }
  statement(): string {
    const r = this.random;
    const dice = r.next();
    if (dice < (this.stream ? 0.7 : 0.4)) {
      const n = r.chance(0.8) ? 1 : r.range(2, 12);
      const rows = Array.from({ length: n }, () => `(${this.id++}, ${columns.map((c) => literal(r, c)).join(', ')})`);
      return `INSERT INTO ${this.table} (id, ${columns.join(', ')}) VALUES ${rows.join(', ')}`;
    }
    if (dice < 0.8 && !this.stream) {
      const set = columns.filter(() => r.chance(0.3));
      const list = set.length > 0 ? set : ['a'];
      return `UPDATE ${this.table} SET ${list.map((c) => `${c} = ${c === 'a' && r.chance(0.2) ? 'a + 1' : literal(r, c)}`).join(', ')}${this.where()}`;
    }
    return `DELETE FROM ${this.table}${this.where()}`;
  }
  // One that changes rows by a query, by key whether they are there or not, or all of them.
  private other(): string {
    const r = this.random;
    const t = this.table;
    const recent = () => this.id - 1 - r.int(30);
    const rows = () => Array.from(new Set(Array.from({ length: r.range(1, 5) }, recent)), (id) => `(${id}, ${columns.map((c) => literal(r, c)).join(', ')})`);
    const dice = r.next();
    if (dice < 0.05) {
      return `TRUNCATE ${t}`;
    }
    if (dice < 0.3) {
      return `DELETE FROM ${t} AS x USING ${t} AS y WHERE y.id = x.id + 1 AND y.a = ${r.range(0, 8)} AND x.id > ${recent()}`;
    }
    if (dice < 0.55 || t === 'l.nokey') {
      return `UPDATE ${t} AS x SET a = y.a, b = x.b || '' FROM ${t} AS y WHERE y.id = x.id + ${r.range(1, 3)} AND x.id > ${recent()}`;
    }
    if (dice < 0.65) {
      return `INSERT INTO ${t} (id, ${columns.join(', ')}) SELECT id + 5000000000, ${columns.join(', ')} FROM ${t} WHERE id < 1000000000 AND a = ${r.range(0, 8)} ON CONFLICT DO NOTHING`;
    }
    const set = columns.filter(() => r.chance(0.4)).map((c) => `${c} = EXCLUDED.${c}`);
    return `INSERT INTO ${t} AS t (id, ${columns.join(', ')}) VALUES ${rows().join(', ')} ON CONFLICT (id) DO ` +
      (set.length > 0 ? `UPDATE SET ${set.join(', ')}${r.chance(0.3) ? ' WHERE t.a > 2' : ''}` : 'NOTHING');
  }
  async run(n: number): Promise<void> {
    const r = this.random;
    for (let i = 0; i < n; i++) {
      const one = () => (!this.stream && r.chance(0.25) ? this.other() : this.statement());
      const several = !this.stream && r.chance(0.2);
      const statements = Array.from({ length: r.range(2, 5) }, one).join('; ');
      await this.client.all(several ? `BEGIN; ${statements}; ${r.pick(['COMMIT', 'COMMIT', 'ROLLBACK'])}` : one());
    }
  }
}

async function equal(copy: Copy): Promise<void> {
  const wanted = copy.sql.replace(/^SELECT (?!\*)(.*?) FROM/, 'SELECT $1, _seq FROM');
  await eventually(async () => {
    const fresh = canonical(await copy.client.objects(wanted));
    if (copy.anomalies.length > 0) {
      throw new Error(`${copy.id} ${copy.sql}: ${copy.anomalies.slice(0, 3).join('\n')}`);
    }
    assert.deepEqual(copy.snapshot(), fresh, `${copy.id} of ${copy.client.user}: ${copy.sql} (resumed: ${copy.resumed})`);
  }, 5000);
}

describe('copies equal fresh reads', { concurrency: false }, () => {
  const tables: [table: string, mode: KeyMode, stream: boolean][] = [['l.own', 'pk', false], ['l.nokey', '_seq', false], ['l.pool', 'pk', false], ['l.gone', '_seq', true]];
  for (const [table, mode, stream] of tables) {
    test(table, { timeout: 180_000 }, async (t) => {
      const random = seeded(`live ${table}`);
      const people = [alice, bob];
      const copies: Copy[] = [];
      let n = 0;
      t.after(() => copies.forEach((c) => c.disconnect()));
      const make = (client: Client): Copy => {
        const projection = random.pick(projections);
        // rows of a projection without the key are known by _seq
        const known = /\*|\bid\b/.test(projection) ? mode : '_seq';
        const copy = new Copy(client, `s${n++}`, `SELECT ${projection} FROM ${table}${random.pick(filters)}`, known, random.chance(0.3) ? { batch_size: random.range(1, 7) } : {}, {
          path: random.chance(0.3) ? '/v1/ws?compress=false' : undefined,
        });
        copy.stream = stream;
        return copy;
      };
      const writersOf = people.map((c, i) => new Writer(c, table, random, stream, (i + 1) * 100_000));
      await Promise.all(writersOf.map((w) => w.run(30)));
      for (const client of people) {
        for (let i = 0; i < 12; i++) {
          const copy = make(client);
          copies.push(copy);
          await copy.connect();
        }
      }
      for (let round = 0; round < scaled(12); round++) {
        const work = writersOf.map((w) => w.run(random.range(10, 40)));
        for (let i = 0; i < 6; i++) {
          const at = random.int(copies.length);
          const copy = copies[at];
          const dice = random.next();
          if (dice < 0.4) {
            // reconnect with what it knows
            copy.disconnect();
            await sleep(random.int(20));
            await copy.connect();
          } else if (dice < 0.6) {
            // the same id again on the same connection replaces
            copy.subscribe();
            await copy.untilReady();
          } else if (dice < 0.8) {
            copy.socket!.unsubscribe(copy.id);
            await sleep(random.int(10));
            copy.subscribe();
            await copy.untilReady();
          } else {
            copy.disconnect();
            copies[at] = make(copy.client);
            await copies[at].connect();
          }
        }
        await Promise.all(work);
        for (const copy of copies) {
          await equal(copy);
        }
      }
      // resume after everything else happened
      copies.forEach((c) => c.disconnect());
      await Promise.all(writersOf.map((w) => w.run(40)));
      for (const copy of copies) {
        await copy.connect();
        await equal(copy);
        copy.disconnect();
      }
    });
  }

  test('many subscriptions on one connection, many writes at once', async () => {
    const random = seeded('live shared socket');
    const socket = await Socket.open(alice);
    const copies = Array.from({ length: 40 }, (_, i) => new Copy(alice, `m${i}`, `SELECT * FROM l.own${filters[i % filters.length]}`));
    for (const c of copies) {
      await c.connect(socket);
    }
    const work = Array.from({ length: 8 }, (_, i) => new Writer(alice, 'l.own', random, false, 1_000_000 + i * 10_000).run(60));
    await Promise.all(work);
    for (const c of copies) {
      await equal(c);
    }
    await socket.close();
  });

  test('a reader that does not read is neither skipped nor kept in memory', async () => {
    const socket = await Socket.open(alice, { path: '/v1/ws?compress=false' });
    const copy = new Copy(alice, 'slow', 'SELECT id, b FROM l.pool');
    await copy.connect(socket);
    socket.ws.pause();
    const text = 'z'.repeat(20_000);
    for (let i = 0; i < 30; i++) {
      await bob.ok(`INSERT INTO l.pool (id, b) VALUES ${Array.from({ length: 20 }, (_, k) => `(${5_000_000 + i * 20 + k}, '${text}')`).join(', ')}`);
    }
    await bob.ok('DELETE FROM l.pool WHERE id BETWEEN 5000100 AND 5000199');
    await bob.ok("UPDATE l.pool SET b = 'short' WHERE id BETWEEN 5000200 AND 5000299");
    copy.resumed = true; // catch-up is a resume that the server does by itself
    socket.ws.resume();
    await eventually(async () => assert.deepEqual(copy.snapshot(), canonical(await alice.objects('SELECT id, b, _seq FROM l.pool'))), 20_000);
    await socket.close();
    await bob.ok('DELETE FROM l.pool WHERE id >= 5000000');
  });
});

describe('messages', { concurrency: false }, () => {
  let socket: Socket;
  before(async () => {
    await root.message("CREATE TABLE l.m (id BIGINT PRIMARY KEY, body TEXT, n INT) WITH (TYPE='USER')");
    socket = await Socket.open(alice);
  });
  after(async () => {
    await socket.close();
  });
  const clear = async () => {
    await alice.ok('DELETE FROM l.m WHERE TRUE');
  };

  test('ack, batch, insert, update, delete', async () => {
    await clear();
    await alice.ok("INSERT INTO l.m VALUES (1, 'hi', 5)");
    socket.subscribe('a', 'SELECT * FROM l.m', {});
    const [ack, batch] = (await socket.take(2, 'a')) as [Ack, Batch];
    assert.equal(ack.type, 'subscription_ack');
    assert.deepEqual(ack.schema, [
      { name: 'id', data_type: 'BigInt', index: 0, flags: ['pk', 'nn', 'uq'] },
      { name: 'body', data_type: 'Text', index: 1 },
      { name: 'n', data_type: 'Int', index: 2 },
      { name: '_seq', data_type: 'BigInt', index: 3, flags: ['nn'] },
      { name: '_deleted', data_type: 'Boolean', index: 4, flags: ['nn'] },
    ]);
    assert.equal(ack.batch_control.batch_num, 0);
    assert.equal(typeof ack.total_rows, 'number');
    assert.equal(ack.batch_control.status, 'loading');
    assert.equal(batch.type, 'initial_data_batch');
    const s1 = batch.rows[0]._seq as string;
    assert.match(s1, /^\d+$/);
    assert.deepEqual(batch.rows, [{ id: '1', body: 'hi', n: 5, _seq: s1, _deleted: false }]);
    const { last_seq_id: upTo, ...control } = batch.batch_control;
    assert.deepEqual(control, { batch_num: 0, has_more: false, status: 'ready' });
    assert.ok(BigInt(upTo!) >= BigInt(s1), 'a cursor that covers the rows');
    const rawBatch = socket.raw.find((r) => r.text.includes('initial_data_batch') && r.text.includes('"a"'))!;
    assert.match(rawBatch.text, /"last_seq_id":\s*\d+/, 'a number on the wire');

    await alice.ok("INSERT INTO l.m VALUES (2, 'x', NULL)");
    await alice.ok("UPDATE l.m SET body = 'y' WHERE id = 2");
    await alice.ok('UPDATE l.m SET body = NULL WHERE id = 2');
    await alice.ok('UPDATE l.m SET body = NULL WHERE id = 2'); // changes nothing
    await alice.ok('DELETE FROM l.m WHERE id = 2');
    const [ins, upd, nul, del] = (await socket.take(6, 'a')).slice(2) as Change[];
    const seq = (m: Change) => (m.rows ?? m.old_values)![0]._seq as string;
    assert.deepEqual(ins, { type: 'change', subscription_id: 'a', change_type: 'insert', rows: [{ id: '2', body: 'x', n: null, _seq: seq(ins), _deleted: false }] });
    assert.equal(upd.change_type, 'update');
    const { _deleted: d1, ...updated } = upd.rows![0];
    assert.ok(d1 === undefined || d1 === false);
    assert.deepEqual(updated, { id: '2', body: 'y', n: null, _seq: seq(upd) });
    assert.deepEqual(upd.old_values, [{ id: '2', body: 'x', _seq: seq(ins) }]);
    assert.equal(nul.rows![0].body, null, 'an explicit null');
    assert.deepEqual(nul.old_values, [{ id: '2', body: 'y', _seq: seq(upd) }]);
    assert.equal(del.change_type, 'delete');
    assert.equal('rows' in del, false);
    assert.deepEqual(del.old_values, [{ id: '2', body: null, n: null, _seq: seq(del), _deleted: true }]);
    const seqs = [ins, upd, nul, del].map((m) => BigInt(seq(m)));
    assert.ok(seqs.every((s, i) => i === 0 || s > seqs[i - 1]), 'sequence rises');
    socket.unsubscribe('a');
  });

  test('a projection shows its columns, the key and _seq, nothing else', async () => {
    await clear();
    socket.subscribe('p', 'SELECT body FROM l.m', {});
    await socket.take(2, 'p');
    await alice.ok("INSERT INTO l.m VALUES (3, 'x', 1)");
    await alice.ok('UPDATE l.m SET n = 2 WHERE id = 3');
    await alice.ok("UPDATE l.m SET body = 'y' WHERE id = 3");
    await alice.ok('DELETE FROM l.m WHERE id = 3');
    await sleep(100);
    for (const m of socket.messages.filter((x) => x.subscription_id === 'p' && x.type === 'change') as Change[]) {
      for (const row of [...(m.rows ?? []), ...(m.old_values ?? [])]) {
        assert.deepEqual(Object.keys(row).filter((k) => !['body', 'id', '_seq', '_prev_seq', '_deleted'].includes(k)), []);
        assert.ok(row._seq);
      }
      if (m.change_type !== 'insert') {
        assert.equal(m.old_values![0].id, '3');
        assert.match(m.old_values![0]._prev_seq as string, /^\d+$/, 'finds the row without the key');
      }
    }
    socket.unsubscribe('p');
  });

  test('leaving the filter is a delete, entering it an insert', async () => {
    await clear();
    socket.subscribe('f', "SELECT * FROM l.m WHERE n > 10", {});
    await socket.take(2, 'f');
    await alice.ok("INSERT INTO l.m VALUES (4, 'x', 1)");
    await alice.ok('UPDATE l.m SET n = 11 WHERE id = 4');
    await alice.ok('UPDATE l.m SET n = 12 WHERE id = 4');
    await alice.ok('UPDATE l.m SET n = NULL WHERE id = 4');
    await alice.ok("UPDATE l.m SET body = 'q' WHERE id = 4");
    await alice.ok('UPDATE l.m SET n = 13 WHERE id = 4');
    const got = (await socket.take(6, 'f')).slice(2) as Change[];
    assert.deepEqual(got.map((m) => m.change_type), ['insert', 'update', 'delete', 'insert']);
    assert.equal(got[0].rows![0].n, 11);
    assert.equal(got[0].rows![0].body, 'x', 'the whole row');
    assert.equal(got[2].old_values![0].id, '4');
    assert.equal(got[3].rows![0].body, 'q');
    socket.unsubscribe('f');
  });

  test('without options: no snapshot', async () => {
    socket.subscribe('n', 'SELECT * FROM l.m');
    const [ack] = (await socket.take(1, 'n')) as [Ack];
    assert.equal(ack.batch_control.status, 'ready');
    assert.equal(ack.batch_control.has_more, false);
    await alice.ok("INSERT INTO l.m VALUES (5, 'live', 1)");
    const [, change] = await socket.take(2, 'n');
    assert.equal(change.type, 'change');
    socket.subscribe('n2', 'SELECT * FROM l.m', null);
    assert.equal(((await socket.take(1, 'n2'))[0] as Ack).batch_control.status, 'ready');
    socket.unsubscribe('n');
    socket.unsubscribe('n2');
  });

  test('last_rows, batch_size, from', async () => {
    await clear();
    await alice.ok(`INSERT INTO l.m VALUES ${Array.from({ length: 25 }, (_, i) => `(${100 + i}, 'r', ${i})`).join(', ')}`);
    const rowsOf = async (id: string, options: object, sql = 'SELECT * FROM l.m') => {
      const from = socket.messages.length;
      socket.subscribe(id, sql, options);
      await socket.find((m) => m.subscription_id === id && m.type === 'initial_data_batch' && !(m as Batch).batch_control.has_more, from);
      socket.unsubscribe(id);
      return socket.messages.slice(from).filter((m) => m.subscription_id === id && m.type === 'initial_data_batch') as Batch[];
    };
    const flat = (b: Batch[]) => b.flatMap((x) => x.rows.map((r) => r.n));
    const range = (a: number, b: number) => Array.from({ length: b - a + 1 }, (_, i) => a + i);
    assert.deepEqual(flat(await rowsOf('o1', { last_rows: 3 })), [22, 23, 24]);
    assert.deepEqual(flat(await rowsOf('o2', { last_rows: 2 }, 'SELECT * FROM l.m WHERE n < 10')), [8, 9], 'the newest that match');
    assert.deepEqual(flat(await rowsOf('o3', { last_rows: 100 })), range(0, 24));
    const batches = await rowsOf('o4', { batch_size: 10 });
    assert.deepEqual(batches.map((b) => b.rows.length), [10, 10, 5]);
    assert.deepEqual(batches.map((b) => [b.batch_control.batch_num, b.batch_control.has_more, b.batch_control.status]), [
      [0, true, 'loading'], [1, true, 'loading_batch'], [2, false, 'ready'],
    ]);
    assert.deepEqual(flat(batches), range(0, 24), 'in the order of _seq');
    const tenth = String(batches[0].rows[9]._seq);
    const socket2 = await Socket.open(alice);
    for (const text of [`${tenth}`, `"${tenth}"`]) {
      for (const name of ['from', 'from_seq_id']) {
        const id = `r${name}${text.length}`;
        socket2.send(`{"type":"subscribe","subscription":{"id":"${id}","sql":"SELECT * FROM l.m","options":{"${name}":${text}}}}`);
        await socket2.find((m) => m.subscription_id === id && m.type === 'initial_data_batch');
        assert.deepEqual(flat(socket2.messages.filter((m) => m.subscription_id === id && m.type === 'initial_data_batch') as Batch[]), range(10, 24), text);
      }
    }
    // from wins over last_rows
    socket2.send(`{"type":"subscribe","subscription":{"id":"both","sql":"SELECT * FROM l.m","options":{"from":${tenth},"last_rows":1}}}`);
    await socket2.find((m) => m.subscription_id === 'both' && m.type === 'initial_data_batch');
    assert.deepEqual(flat(socket2.messages.filter((m) => m.subscription_id === 'both' && m.type === 'initial_data_batch') as Batch[]), range(10, 24));
    await socket2.close();
    const empty = await rowsOf('o5', {}, 'SELECT * FROM l.m WHERE n > 1000');
    assert.deepEqual(empty.map((b) => b.rows), [[]], 'an empty batch is sent too');
  });

  test('resume tells of deletions and of rows that left the filter', async () => {
    await clear();
    await alice.ok("INSERT INTO l.m VALUES (1, 'stay', 1), (2, 'go', 1), (3, 'leave', 1)");
    const copy = new Copy(alice, 'res', 'SELECT * FROM l.m WHERE n = 1');
    await copy.connect();
    copy.disconnect();
    await alice.ok('DELETE FROM l.m WHERE id = 2');
    await alice.ok('UPDATE l.m SET n = 2 WHERE id = 3');
    await alice.ok("INSERT INTO l.m VALUES (4, 'new', 1)");
    await alice.ok("INSERT INTO l.m VALUES (5, 'short-lived', 1)");
    await alice.ok('DELETE FROM l.m WHERE id = 5');
    await alice.ok("DELETE FROM l.m WHERE id = 1");
    await alice.ok("INSERT INTO l.m VALUES (1, 'again', 1)");
    copy.keepHistory = true;
    await copy.connect();
    await eventually(() => assert.deepEqual([...copy.rows.values()].map((r) => r.body).sort(), ['again', 'new']));
    assert.equal(copy.resyncs, 0);
    assert.ok(!JSON.stringify(copy.history).includes('short-lived'), 'what the client never knew of is not told');
    copy.disconnect();
  });

  test('other forms of the query', async () => {
    const good = ['select * from l.m;', 'SELECT * FROM "l"."m"', 'SELECT l.m.body FROM l.m WHERE l.m.n = 1', "SELECT * FROM l.m WHERE body = CURRENT_USER()", 'SUBSCRIBE TO l.m WHERE n = 1'];
    for (const [i, sql] of good.entries()) {
      socket.subscribe(`g${i}`, sql, {});
      const m = (await socket.take(1, `g${i}`))[0];
      assert.equal(m.type, 'subscription_ack', `${sql}: ${JSON.stringify(m)}`);
      socket.unsubscribe(`g${i}`);
    }
  });

  test('a transaction is told after its end, in its order, or not at all', async () => {
    await clear();
    await alice.ok("INSERT INTO l.m VALUES (1, 'one', 1)");
    const copy = new Copy(alice, 'tx', 'SELECT * FROM l.m');
    copy.keepHistory = true;
    await copy.connect();
    const kinds = () => copy.history.filter((m) => m.type === 'change').flatMap((m) => {
      const c = m as unknown as { change_type: string; rows?: { id: number }[]; old_values?: { id: number }[] };
      return (c.rows ?? c.old_values ?? []).map((row) => `${c.change_type} ${row.id}`);
    });
    await alice.all("BEGIN; INSERT INTO l.m VALUES (9, 'never', 9); DELETE FROM l.m WHERE id = 1; ROLLBACK");
    assert.equal((await alice.sql("BEGIN; INSERT INTO l.m VALUES (8, 'never', 8); INSERT INTO l.m VALUES (1, 'twice', 1); COMMIT")).status, 'error');
    await alice.all("BEGIN; INSERT INTO l.m VALUES (2, 'two', 2); UPDATE l.m SET n = 5 WHERE id = 1; INSERT INTO l.m VALUES (2, 'x', 7) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n; INSERT INTO l.m VALUES (3, 'brief', 3); DELETE FROM l.m WHERE id = 3; COMMIT");
    await eventually(() => assert.deepEqual(kinds(), ['insert 2', 'update 1', 'update 2', 'insert 3', 'delete 3']));
    await alice.ok('TRUNCATE l.m');
    await eventually(() => assert.deepEqual(kinds().slice(5).sort(), ['delete 1', 'delete 2']));
    assert.deepEqual(copy.anomalies, []);
    assert.equal(copy.rows.size, 0);
    copy.disconnect();
    await alice.fail("INSERT INTO l.gone (id, a) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET a = 2", undefined, /ON CONFLICT/);
  });

  test('refusals', async () => {
    const bad: [string, string[]][] = [
      ['SELECT * FROM m', ['INVALID_SQL', 'NOT_FOUND']],
      ['SELECT * FROM l.none', ['NOT_FOUND']],
      ['SELECT nope FROM l.m', ['INVALID_SQL', 'SUBSCRIPTION_FAILED']],
      ['SELECT * FROM l.m WHERE nope = 1', ['INVALID_SQL', 'SUBSCRIPTION_FAILED']],
      ['SELEC', ['INVALID_SQL']],
      ['', ['INVALID_SQL']],
      ['DELETE FROM l.m WHERE TRUE', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT * FROM l.m JOIN l.pool USING (id)', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT COUNT(*) FROM l.m', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT n FROM l.m GROUP BY n', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT DISTINCT n FROM l.m', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT * FROM l.m LIMIT 5', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT * FROM l.m WHERE id IN (SELECT id FROM l.m)', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT * FROM l.m WHERE EXISTS (SELECT 1)', ['INVALID_SQL', 'UNSUPPORTED']],
      ['SELECT * FROM l.m; SELECT 1', ['INVALID_SQL', 'UNSUPPORTED', 'BATCH_PARSE_ERROR']],
      ['SELECT * FROM l.m UNION SELECT * FROM l.m', ['INVALID_SQL', 'UNSUPPORTED']],
      ['WITH q AS (SELECT * FROM l.m) SELECT * FROM q', ['INVALID_SQL', 'UNSUPPORTED', 'NOT_FOUND']],
      ["SELECT * FROM read_csv('/etc/passwd')", ['INVALID_SQL', 'UNSUPPORTED', 'NOT_FOUND']],
      ['SELECT * FROM l.m WHERE n', ['INVALID_SQL', 'UNSUPPORTED', 'SUBSCRIPTION_FAILED']],
    ];
    for (const [i, [sql, codes]] of bad.entries()) {
      socket.subscribe(`b${i}`, sql, {});
      const m = (await socket.take(1, `b${i}`))[0];
      assert.equal(m.type, 'error', `${sql}: ${JSON.stringify(m)}`);
      assert.ok(codes.includes(m.code as string), `${sql}: ${JSON.stringify(m)}`);
      assert.ok(m.message);
    }
    const from = socket.messages.length;
    socket.subscribe(' ', 'SELECT * FROM l.m', {});
    const blank = await socket.find((m) => m.type === 'error', from);
    assert.equal(blank.code, 'INVALID_SUBSCRIPTION_ID');
    assert.equal(blank.subscription_id, 'invalid_subscription');
    assert.equal(socket.closed, undefined, 'the connection stays');
  });

  test('shared tables by access level, system tables for admins', async () => {
    await root.message("CREATE TABLE l.priv (id INT PRIMARY KEY) WITH (TYPE='SHARED')");
    await root.message("CREATE TABLE l.pub (id INT PRIMARY KEY) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')");
    const carol = await server.createUser('carol');
    const s = await Socket.open(carol);
    s.subscribe('p', 'SELECT * FROM l.priv', {});
    assert.equal((await s.take(1, 'p'))[0].code, 'UNAUTHORIZED');
    s.subscribe('q', 'SELECT * FROM l.pub', {});
    assert.equal((await s.take(1, 'q'))[0].type, 'subscription_ack');
    s.subscribe('u', 'SELECT * FROM system.users', {});
    const m = (await s.take(1, 'u'))[0];
    assert.equal(m.type, 'error');
    await s.close();
  });

  test('limits per connection and per user', async () => {
    const small = await Server.start({ config: { 'websocket.max_subscriptions_per_connection': 3, 'rate_limit.max_subscriptions_per_user': 5 } });
    try {
      const r = small.root();
      await r.all("CREATE NAMESPACE x; CREATE TABLE x.t (id INT PRIMARY KEY) WITH (TYPE='USER')");
      const a = await Socket.open(r);
      const b = await Socket.open(r);
      const ask = async (s: Socket, id: string) => {
        const from = s.messages.length;
        s.subscribe(id, 'SELECT * FROM x.t');
        const m = await s.find((x) => x.subscription_id === id, from);
        return m.type === 'error' ? m.code : m.type;
      };
      for (const id of ['1', '2', '3', '2', '3']) {
        assert.equal(await ask(a, id), 'subscription_ack', 'replacing is free');
      }
      assert.equal(await ask(a, '4'), 'SUBSCRIPTION_LIMIT_EXCEEDED');
      assert.equal(await ask(b, '1'), 'subscription_ack');
      assert.equal(await ask(b, '2'), 'subscription_ack');
      assert.equal(await ask(b, '3'), 'SUBSCRIPTION_LIMIT_EXCEEDED');
      a.unsubscribe('1');
      await eventually(async () => assert.equal(await ask(b, '3'), 'subscription_ack'));
      await a.close();
      const c = await Socket.open(r);
      await eventually(async () => assert.equal(await ask(c, '1'), 'subscription_ack'));
      await c.close();
      await b.close();
    } finally {
      await small.stop();
    }
  });

  test('expiry and a full buffer are deletes', async () => {
    await root.message("CREATE TABLE l.ttl (id INT, v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=1)");
    await root.message('CREATE STREAM TABLE l.ring (id INT) RETENTION 600 MAX_BUFFER 5');
    const ttl = new Copy(alice, 'ttl', 'SELECT * FROM l.ttl', '_seq');
    const ring = new Copy(alice, 'ring', 'SELECT * FROM l.ring', '_seq');
    await ttl.connect();
    await ring.connect();
    await alice.ok("INSERT INTO l.ttl VALUES (1, 'a'), (2, 'b')");
    await eventually(() => assert.equal(ttl.rows.size, 2), 800);
    await eventually(() => assert.equal(ttl.rows.size, 0), 4000);
    assert.equal(await alice.value('SELECT COUNT(*) FROM l.ttl'), '0');
    for (let i = 0; i < 8; i++) {
      await alice.ok(`INSERT INTO l.ring VALUES (${i})`);
    }
    assert.deepEqual(await alice.rows('SELECT id FROM l.ring ORDER BY id'), [[3], [4], [5], [6], [7]]);
    await eventually(() => assert.deepEqual([...ring.rows.values()].map((r) => r.id).sort(), [3, 4, 5, 6, 7]));
    assert.deepEqual([...ttl.anomalies, ...ring.anomalies], []);
    await alice.fail('UPDATE l.ring SET id = 1 WHERE id = 3', undefined, /UPDATE not supported for STREAM tables/);
    ttl.disconnect();
    ring.disconnect();
  });

  test('ALTER and DROP under a subscription', async () => {
    await root.message("CREATE TABLE l.alt (id INT PRIMARY KEY, a TEXT, b TEXT) WITH (TYPE='USER')");
    const s = await Socket.open(alice);
    s.subscribe('all', 'SELECT * FROM l.alt', {});
    s.subscribe('b', "SELECT id, b FROM l.alt WHERE b = 'x'", {});
    await s.take(2, 'all');
    await s.take(2, 'b');
    await root.message("ALTER TABLE l.alt ADD COLUMN c INT DEFAULT 3");
    const ack = (await s.take(3, 'all'))[2] as Ack;
    assert.equal(ack.type, 'subscription_ack');
    assert.ok(ack.schema.some((c) => c.name === 'c'));
    await alice.ok("INSERT INTO l.alt (id, a, b) VALUES (1, 'a', 'x')");
    const change = (await s.find((m) => m.type === 'change' && m.subscription_id === 'all')) as Change;
    assert.equal(change.rows![0].c, 3);
    await root.message('ALTER TABLE l.alt DROP COLUMN b');
    const ended = await s.find((m) => m.type === 'error' && m.subscription_id === 'b');
    assert.equal(ended.code, 'SCHEMA_CHANGED');
    await alice.ok("INSERT INTO l.alt (id, a) VALUES (2, 'a')");
    await s.find((m) => m.type === 'change' && m.subscription_id === 'all' && (m as Change).rows![0].id === 2);
    await root.message('DROP TABLE l.alt');
    const dropped = await s.find((m) => m.type === 'error' && m.subscription_id === 'all');
    assert.equal(dropped.code, 'NOT_FOUND');
    await s.close();
  });

  test('system.live and KILL LIVE QUERY', async () => {
    const s = await Socket.open(bob);
    s.subscribe('watch-me', 'SELECT * FROM l.m', {});
    await s.take(2, 'watch-me');
    const rows = await eventually(async () => {
      const found = await root.objects("SELECT * FROM system.live WHERE user_id = 'bob' AND subscription_id = 'watch-me'");
      assert.equal(found.length, 1);
      return found;
    });
    assert.equal(rows[0].namespace_id, 'l');
    assert.equal(rows[0].table_name, 'm');
    assert.match(rows[0].live_id as string, /^bob-.*-watch-me$/);
    assert.match(await root.message(`KILL LIVE QUERY '${rows[0].live_id}'`), /^Live query killed: /);
    await s.find((m: Message) => m.type === 'error' && m.subscription_id === 'watch-me');
    assert.deepEqual(await root.rows("SELECT * FROM system.live WHERE subscription_id = 'watch-me'"), []);
    await root.fail("KILL LIVE QUERY 'bob-0-none'", undefined, /not found/i);
    await s.close();
    await eventually(async () => assert.equal(await root.value("SELECT COUNT(*) FROM system.live WHERE user_id = 'bob'"), '0'));
  });

  test('a dropped user loses the connection', async () => {
    const eve = await server.createUser('eve');
    const s = await Socket.open(eve);
    s.subscribe('x', 'SELECT * FROM l.m', {});
    await s.take(2, 'x');
    await root.message("DROP USER 'eve'");
    await eventually(() => assert.ok(s.closed || s.messages.some((m) => m.type === 'error'), 'told or closed'));
    await s.close();
  });
});
