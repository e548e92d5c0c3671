// A client that keeps its own copy of a query's rows from the messages alone, as an application would, and notes what should not
// happen on the way (an insert of a row it has, an update or delete of one it has not, a sequence that goes back).
//
// Rows are known by the primary key; by _seq (and _prev_seq) where the table has none and for STREAM tables. A resumed copy takes
// rows as upserts and does not mind a delete of a row it never had.
import type { Client, Row } from './http.js';
import { Socket, type Ack, type Batch, type Change, type Message, type OpenOptions, type SubscribeOptions } from './ws.js';

export type KeyMode = 'pk' | '_seq';

export class Copy {
  readonly rows = new Map<string, Row>();
  readonly anomalies: string[] = [];
  readonly history: Message[] = [];
  keepHistory = false;
  cursor: bigint | undefined;
  resumed = false;
  // The snapshot of a STREAM table is read while it goes on: a row that went in between is still told to have gone.
  stream = false;
  resyncs = 0;
  acks = 0;
  changes = 0;
  ready = false;
  error: Message | undefined;
  socket: Socket | undefined;
  // Asked for again, with a cursor, and not yet acknowledged: what still comes is of the subscription before. It is left out, or the copy would
  // know rows above the cursor that it has named.
  private asked = false;
  private keys: string[] = [];
  private columns = new Set<string>();

  constructor(
    readonly client: Client,
    readonly id: string,
    readonly sql: string,
    readonly mode: KeyMode = 'pk',
    readonly options: SubscribeOptions = {},
    readonly open: OpenOptions = {},
  ) {}

  // A socket of its own, or one that several copies share (its owner then feeds them).
  async connect(shared?: Socket): Promise<void> {
    this.ready = false;
    this.error = undefined;
    const socket = shared ?? (await Socket.open(this.client, this.open));
    const before = socket.onMessage;
    socket.onMessage = (m) => {
      before?.(m);
      if (m.subscription_id === this.id && this.socket === socket) {
        this.take(m);
      }
    };
    this.socket = socket;
    this.subscribe();
    await this.untilReady();
  }
  subscribe(): void {
    this.ready = false;
    this.asked = true;
    if (this.cursor !== undefined) {
      this.resumed = true;
    }
    const options: SubscribeOptions = { ...this.options };
    if (this.cursor !== undefined) {
      options.from = this.cursor.toString();
    }
    // a JSON number, as the clients send it
    const text = JSON.stringify({ type: 'subscribe', subscription: { id: this.id, sql: this.sql, options } });
    this.socket!.send(text.replace(/"from":"(\d+)"/, '"from":$1'));
  }
  async untilReady(ms = 15_000): Promise<void> {
    const end = Date.now() + ms;
    while (!this.ready) {
      if (this.error) {
        throw new Error(`${this.id}: ${JSON.stringify(this.error)} for ${this.sql}`);
      }
      if (this.socket!.closed || Date.now() > end) {
        throw new Error(`${this.id} is not ready (${JSON.stringify(this.socket!.closed ?? 'timeout')}): ${this.sql}`);
      }
      await new Promise((done) => setTimeout(done, 2));
    }
  }
  disconnect(): void {
    this.socket?.drop();
    this.socket = undefined;
  }

  private see(seq: unknown, what: string, mustRise: boolean): void {
    if (seq === undefined || seq === null) {
      return;
    }
    const n = BigInt(seq as string | number);
    if (this.cursor !== undefined && mustRise && n <= this.cursor && !this.resumed) {
      this.anomalies.push(`${what}: _seq ${n} after ${this.cursor}`);
    }
    if (this.cursor === undefined || n > this.cursor) {
      this.cursor = n;
    }
  }
  private key(row: Row): string {
    return this.mode === '_seq' ? String(row._seq) : JSON.stringify(this.keys.map((k) => row[k]));
  }

  take(m: Message): void {
    if (this.keepHistory) {
      this.history.push(m);
    }
    switch (m.type) {
      case 'subscription_ack':
        return this.ack(m as Ack);
      case 'initial_data_batch':
        return this.asked ? undefined : this.batch(m as Batch);
      case 'change':
        return this.asked ? undefined : this.change(m as Change);
      case 'error':
        this.error = m;
        return;
      default:
        this.anomalies.push(`unknown message ${JSON.stringify(m)}`);
    }
  }
  private ack(m: Ack): void {
    this.acks++;
    this.asked = false;
    this.columns = new Set(m.schema.map((c) => c.name));
    this.keys = m.schema.filter((c) => c.flags?.includes('pk')).map((c) => c.name);
    if (this.mode === 'pk' && this.keys.length === 0) {
      this.anomalies.push(`no column of the ack has the flag pk: ${JSON.stringify(m.schema)}`);
    }
    if (m.resync) {
      this.resyncs++;
      this.rows.clear();
    }
    if (!m.batch_control.has_more && m.batch_control.status === 'ready') {
      this.ready = true;
    }
  }
  private batch(m: Batch): void {
    for (const row of m.rows) {
      const key = this.key(row);
      if (this.rows.has(key) && !this.resumed) {
        this.anomalies.push(`batch repeats ${key}`);
      }
      this.rows.set(key, row);
      this.see(row._seq, 'batch', false);
    }
    this.see(m.batch_control.last_seq_id, 'batch_control', false);
    if (m.batch_control.status === 'ready' || !m.batch_control.has_more) {
      this.ready = true;
    }
  }
  private change(m: Change): void {
    this.changes++;
    const rows = m.rows ?? [];
    const olds = m.old_values ?? [];
    const note = (text: string) => {
      if (!this.resumed) {
        this.anomalies.push(`${text}: ${JSON.stringify(m)}`);
      }
    };
    if (m.change_type === 'delete') {
      for (const old of olds) {
        const key = this.mode === '_seq' ? String(old._prev_seq) : this.key(old);
        if (!this.rows.delete(key) && !this.stream) {
          note(`delete of an unknown row ${key}`);
        }
        this.see(old._seq, 'delete', false);
      }
      return;
    }
    rows.forEach((row, i) => {
      const old = olds[i];
      const key = this.key(row);
      const before = this.mode === '_seq' && old ? String(old._prev_seq) : key;
      if (m.change_type === 'insert') {
        if (this.rows.has(key)) {
          note(`insert of a known row ${key}`);
        }
        this.rows.set(key, row);
      } else {
        if (!this.rows.has(before)) {
          note(`update of an unknown row ${before}`);
        }
        const merged = { ...this.rows.get(before), ...row };
        this.rows.delete(before);
        this.rows.set(key, merged);
      }
      this.see(row._seq, m.change_type, true);
    });
  }

  // Rows in an order and form that can be compared with those of a SELECT. (Updates also carry the key when the query does not.)
  snapshot(): string[] {
    return canonical([...this.rows.values()].map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => this.columns.has(name)))));
  }
}

export function canonical(rows: Row[]): string[] {
  return rows
    .map((row) => {
      const { _deleted, ...rest } = row;
      return JSON.stringify(Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))));
    })
    .sort();
}
