// kill -9 at random moments under concurrent writers: what was acknowledged is there afterwards, once; a statement is there whole or
// not at all; the sequence never goes back; a subscriber that resumes ends with exactly the table's content.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Copy, canonical } from './lib/copy.js';
import type { Client } from './lib/http.js';
import { eventually, scaled, seeded, sleep } from './lib/random.js';
import { Server } from './lib/server.js';

const writers = 16;
const rounds = scaled(50);
const random = seeded('durability');

let server: Server;
let users: Client[];
before(async () => {
  server = await Server.start();
  const root = server.root();
  await root.message('CREATE NAMESPACE d');
  await root.message("CREATE TABLE d.own (id BIGINT PRIMARY KEY, stmt BIGINT NOT NULL, part INT NOT NULL, v INT NOT NULL) WITH (TYPE='USER')");
  await root.message("CREATE TABLE d.nokey (stmt BIGINT NOT NULL, part INT NOT NULL) WITH (TYPE='USER')");
  await root.message("CREATE TABLE d.pool (id BIGINT PRIMARY KEY, stmt BIGINT NOT NULL, part INT NOT NULL, v INT NOT NULL) WITH (TYPE='SHARED')");
  users = [];
  for (let i = 0; i < 4; i++) {
    users.push(await server.createUser(`w${i}`, 'service'));
  }
});
after(async () => {
  await server.stop();
});

// What one writer knows of its rows: certain, or one of two states when the answer never came.
interface Known {
  id: number;
  stmt: number;
  states: (number | undefined)[]; // possible values of v; undefined: no such row
}
class Writer {
  readonly rows = new Map<number, Known>();
  readonly statements = new Map<number, { ids: number[]; acked: boolean }>();
  readonly nokey = new Map<number, { n: number; acked: boolean }>();
  acked = 0;
  constructor(
    readonly index: number,
    readonly client: Client,
    readonly table: string,
  ) {}

  private nextId = 0;
  private nextStmt = 0;
  private newId(): number {
    return this.index * 1_000_000 + this.nextId++;
  }
  // true: acknowledged; false: refused by the server; undefined: unknown
  private async send(sql: string): Promise<boolean | undefined> {
    try {
      const reply = await this.client.sql(sql);
      if (reply.status === 'success') {
        this.acked++;
        return true;
      }
      if (reply.http >= 500) {
        return undefined;
      }
      throw new assert.AssertionError({ message: `${sql}: ${JSON.stringify(reply.error)}` });
    } catch (e) {
      if (e instanceof assert.AssertionError) {
        throw e;
      }
      return undefined;
    }
  }
  private async insert(): Promise<boolean> {
    const n = random.range(1, 8);
    const stmt = this.index * 1_000_000 + this.nextStmt++;
    const ids = Array.from({ length: n }, () => this.newId());
    const ack = await this.send(`INSERT INTO ${this.table} VALUES ${ids.map((id, part) => `(${id}, ${stmt}, ${part}, 0)`).join(', ')}`);
    this.statements.set(stmt, { ids, acked: ack === true });
    for (const id of ids) {
      this.rows.set(id, { id, stmt, states: ack ? [0] : [undefined, 0] });
    }
    return ack === true;
  }
  private async update(): Promise<boolean> {
    const known = random.pick([...this.rows.values()].slice(-200));
    if (known.states.length !== 1 || known.states[0] === undefined) {
      return true;
    }
    const v = known.states[0] + 1;
    const ack = await this.send(`UPDATE ${this.table} SET v = ${v} WHERE id = ${known.id}`);
    known.states = ack ? [v] : [known.states[0], v];
    return ack === true;
  }
  private async remove(): Promise<boolean> {
    const known = random.pick([...this.rows.values()].slice(-200));
    if (known.states.length !== 1 || known.states[0] === undefined) {
      return true;
    }
    const ack = await this.send(`DELETE FROM ${this.table} WHERE id = ${known.id}`);
    known.states = ack ? [undefined] : [known.states[0], undefined];
    return ack === true;
  }
  private async insertNoKey(): Promise<boolean> {
    const n = random.range(1, 4);
    const stmt = this.index * 1_000_000 + this.nextStmt++;
    const ack = await this.send(`INSERT INTO d.nokey VALUES ${Array.from({ length: n }, (_, part) => `(${stmt}, ${part})`).join(', ')}`);
    this.nokey.set(stmt, { n, acked: ack === true });
    return ack === true;
  }
  // Until the server is gone.
  async run(): Promise<void> {
    for (;;) {
      const dice = random.next();
      const go = this.rows.size === 0 || dice < 0.5 ? this.insert() : dice < 0.75 ? this.update() : dice < 0.9 ? this.remove() : this.insertNoKey();
      if (!(await go)) {
        return;
      }
    }
  }

  // Compares with what the server has and takes that for certain from now on.
  check(round: number, found: Map<number, { stmt: number; v: number }>): string[] {
    const faults: string[] = [];
    for (const known of this.rows.values()) {
      const v = found.get(known.id)?.v;
      if (!known.states.includes(v)) {
        faults.push(`round ${round}: ${this.table} row ${known.id}: ${v ?? 'absent'}, not ${known.states.map((s) => s ?? 'absent').join(' or ')}`);
      }
      known.states = [v];
    }
    // an unacknowledged INSERT: all of its rows or none
    for (const [stmt, s] of this.statements) {
      if (!s.acked) {
        const there = s.ids.filter((id) => found.has(id)).length;
        if (there !== 0 && there !== s.ids.length) {
          faults.push(`round ${round}: ${this.table} statement ${stmt}: ${there} of ${s.ids.length} rows`);
        }
        s.acked = true;
        if (there === 0) {
          s.ids.forEach((id) => this.rows.delete(id));
        }
      }
    }
    return faults;
  }
}

test(`${rounds} rounds of kill -9 with ${writers} writers`, { timeout: 600_000 }, async () => {
  const all = Array.from({ length: writers }, (_, i) => new Writer(i, users[i % users.length], i % 3 === 2 ? 'd.pool' : 'd.own'));
  const copies = [
    ...users.map((u, i) => new Copy(u, `own${i}`, 'SELECT * FROM d.own', 'pk')),
    new Copy(users[0], 'filter', 'SELECT id, v FROM d.own WHERE v >= 1', 'pk'),
    new Copy(users[1], 'all', 'SELECT * FROM d.pool', 'pk'),
    new Copy(users[2], 'nokey', 'SELECT * FROM d.nokey', '_seq'),
  ];
  let top = 0n;
  for (let round = 1; round <= rounds; round++) {
    for (const c of copies) {
      await c.connect();
    }
    const work = all.map((w) => w.run());
    await sleep(random.range(50, 350));
    await server.kill();
    await Promise.all(work);
    copies.forEach((c) => c.disconnect());
    await server.start();

    const faults: string[] = [];
    const shared = await users[0].rows('SELECT id, stmt, v, _seq FROM d.pool');
    for (const [i, user] of users.entries()) {
      const own = await user.rows('SELECT id, stmt, v, _seq FROM d.own');
      for (const rows of [own, shared]) {
        assert.equal(new Set(rows.map((r) => r[0])).size, rows.length, 'no primary key twice');
        assert.equal(new Set(rows.map((r) => r[3])).size, rows.length, 'no _seq twice');
      }
      const index = (rows: unknown[][]) => new Map(rows.map((r) => [Number(r[0]), { stmt: Number(r[1]), v: r[2] as number }]));
      const [mine, common] = [index(own), index(shared)];
      const nokey = await user.rows('SELECT stmt, part FROM d.nokey');
      const parts = new Map<number, number>();
      nokey.forEach((r) => parts.set(Number(r[0]), (parts.get(Number(r[0])) ?? 0) + 1));
      for (const w of all.filter((_, n) => n % users.length === i)) {
        faults.push(...w.check(round, w.table === 'd.own' ? mine : common));
        for (const [stmt, s] of w.nokey) {
          const n = parts.get(stmt) ?? 0;
          if (n !== s.n && (s.acked || n !== 0)) {
            faults.push(`round ${round}: d.nokey statement ${stmt}: ${n} of ${s.n} rows, acknowledged: ${s.acked}`);
          }
          if (n === 0) {
            w.nokey.delete(stmt);
          } else {
            s.acked = true;
          }
        }
      }
      // a new write goes above everything that was ever seen
      const seqs = [...own, ...shared].map((r) => BigInt(r[3] as string));
      top = seqs.reduce((a, b) => (a > b ? a : b), top);
    }
    for (const c of copies) {
      top = c.cursor !== undefined && c.cursor > top ? c.cursor : top;
    }
    assert.deepEqual(faults.slice(0, 20), []);
    const id = -round;
    await users[0].ok(`INSERT INTO d.pool VALUES (${id}, -1, 0, 0)`);
    await users[0].ok(`INSERT INTO d.own VALUES (${id}, -1, 0, 0)`);
    for (const table of ['d.pool', 'd.own']) {
      const seq = BigInt((await users[0].value(`SELECT _seq FROM ${table} WHERE id = ${id}`)) as string);
      assert.ok(seq > top, `${table}: _seq ${seq} after ${top}`);
    }

    if (round % 5 === 0 || round === rounds) {
      for (const c of copies) {
        await c.connect();
        const sql = c.sql.replace('id, v', 'id, v, _seq');
        await eventually(async () => assert.deepEqual(c.snapshot(), canonical(await c.client.objects(sql)), `round ${round}: ${c.id} after resume`));
        assert.ok(c.resyncs === 0 || c.mode === '_seq', `${c.id} was sent everything again`);
        c.disconnect();
      }
    }
  }
  const acked = all.reduce((n, w) => n + w.acked, 0);
  console.log(`${acked} statements acknowledged in ${rounds} rounds`);
  assert.ok(acked > rounds * 10, `only ${acked} statements in ${rounds} rounds`);
});
