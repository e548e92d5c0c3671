// The WebSocket side of a client: messages in the order they came, gzip frames unpacked.
import { gunzipSync } from 'node:zlib';
import WebSocket from 'ws';
import type { Client, Column, Row } from './http.js';

export interface Message {
  type: string;
  subscription_id?: string;
  [field: string]: unknown;
}
export interface Ack extends Message {
  schema: Column[];
  total_rows: number;
  resync?: boolean;
  batch_control: { batch_num: number; has_more: boolean; status: string; last_seq_id?: number | string | null };
}
export interface Batch extends Message {
  rows: Row[];
  batch_control: Ack['batch_control'];
}
export interface Change extends Message {
  change_type: 'insert' | 'update' | 'delete';
  rows?: Row[];
  old_values?: Row[];
}
export interface SubscribeOptions {
  from?: number | string;
  last_rows?: number;
  batch_size?: number;
}

export interface OpenOptions {
  path?: string; // /v1/ws
  header?: boolean; // send the token with the upgrade (default) or leave authentication to the test
  headers?: Record<string, string>;
}

// _seq exceeds what a JSON number holds in JavaScript: quoted before it is parsed.
export function parseMessage(text: string): Message {
  return JSON.parse(text.replace(/("last_seq_id"\s*:\s*)(-?\d+)/g, '$1"$2"'));
}

export class Socket {
  readonly messages: Message[] = [];
  readonly raw: { text: string; binary: boolean }[] = [];
  onMessage: ((m: Message) => void) | undefined;
  closed: { code: number; reason: string } | undefined;
  private readonly waiting = new Set<() => void>();
  private constructor(readonly ws: WebSocket) {
    ws.on('message', (data: Buffer, binary: boolean) => {
      const text = (binary ? gunzipSync(data) : data).toString('utf8');
      this.raw.push({ text, binary });
      if (this.raw.length > 200) {
        this.raw.shift();
      }
      const message = parseMessage(text);
      if (this.onMessage) {
        this.onMessage(message);
      }
      this.messages.push(message);
      this.wake();
    });
    ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.wake();
    });
    ws.on('error', () => undefined);
  }
  private wake(): void {
    for (const w of [...this.waiting]) {
      w();
    }
  }

  static async open(client: Client, options: OpenOptions = {}): Promise<Socket> {
    const headers: Record<string, string> = { ...options.headers };
    if (options.header !== false) {
      headers.authorization = `Bearer ${client.token}`;
    }
    const ws = new WebSocket(client.url.replace(/^http/, 'ws') + (options.path ?? '/v1/ws'), { headers, perMessageDeflate: false });
    const socket = new Socket(ws);
    await new Promise<void>((done, fail) => {
      ws.once('open', done);
      ws.once('error', fail);
      ws.once('unexpected-response', (_req, res) => fail(new Error(`upgrade refused: ${res.statusCode}`)));
    });
    if (options.header !== false) {
      await socket.find((m) => m.type === 'auth_success');
    }
    return socket;
  }

  send(message: unknown): void {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }
  subscribe(id: string, sql: string, options?: SubscribeOptions | null): void {
    this.send({ type: 'subscribe', subscription: { id, sql, ...(options === undefined ? {} : { options }) } });
  }
  unsubscribe(id: string): void {
    this.send({ type: 'unsubscribe', subscription_id: id });
  }

  private async until(ready: () => boolean, ms: number, what: () => string): Promise<void> {
    if (ready()) {
      return;
    }
    await new Promise<void>((done, fail) => {
      const check = () => {
        if (ready()) {
          finish();
          done();
        } else if (this.closed) {
          finish();
          fail(new Error(`connection closed (${this.closed.code} ${this.closed.reason}) while ${what()}`));
        }
      };
      const timer = setTimeout(() => {
        finish();
        fail(new Error(`timeout of ${ms} ms while ${what()}; last messages: ${JSON.stringify(this.messages.slice(-5)).slice(0, 2000)}`));
      }, ms);
      const finish = () => {
        clearTimeout(timer);
        this.waiting.delete(check);
      };
      this.waiting.add(check);
      check();
    });
  }

  // The first message, from place `from` on, that matches; those before it stay.
  async find(match: (m: Message) => boolean, from = 0, ms = 10_000): Promise<Message> {
    let at = from;
    let found: Message | undefined;
    await this.until(
      () => {
        while (found === undefined && at < this.messages.length) {
          const m = this.messages[at++];
          if (match(m)) {
            found = m;
          }
        }
        return found !== undefined;
      },
      ms,
      () => `waiting for a message that matches ${match}`,
    );
    return found!;
  }
  // The next n messages of a subscription, from place `from` on.
  async take(n: number, id?: string, from = 0, ms = 10_000): Promise<Message[]> {
    const of = () => this.messages.slice(from).filter((m) => id === undefined || m.subscription_id === id);
    await this.until(() => of().length >= n, ms, () => `waiting for ${n} messages of ${id ?? 'any subscription'}, have ${of().length}`);
    return of().slice(0, n);
  }
  async waitClosed(ms = 15_000): Promise<{ code: number; reason: string }> {
    if (!this.closed) {
      await new Promise<void>((done, fail) => {
        const timer = setTimeout(() => fail(new Error(`not closed after ${ms} ms; last: ${JSON.stringify(this.messages.slice(-3))}`)), ms);
        this.ws.once('close', () => {
          clearTimeout(timer);
          setImmediate(done);
        });
      });
    }
    return this.closed!;
  }
  async close(): Promise<void> {
    if (!this.closed) {
      this.ws.close();
      const timer = setTimeout(() => this.ws.terminate(), 2000);
      await this.waitClosed(5000);
      clearTimeout(timer);
    }
  }
  drop(): void {
    this.ws.terminate();
  }
}
