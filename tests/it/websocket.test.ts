// The WebSocket protocol from below: frames written byte by byte, authentication both ways, limits, closing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect, type Socket as TcpSocket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { eventually, sleep } from './lib/random.js';
import { Server } from './lib/server.js';
import { Socket, parseMessage, type Message } from './lib/ws.js';

let server: Server;
let root: Client;
let user: Client;
before(async () => {
  server = await Server.start({ config: { 'websocket.auth_timeout_secs': 1, 'websocket.client_timeout_secs': 4, 'websocket.heartbeat_interval_secs': 1, 'security.max_ws_message_size': 4096 } });
  root = server.root();
  user = await server.createUser('uma');
  await root.all("CREATE NAMESPACE w; CREATE TABLE w.t (id INT PRIMARY KEY, v TEXT) WITH (TYPE='USER')");
});
after(async () => {
  await server.stop();
});

interface Frame {
  fin: boolean;
  op: number;
  payload: Buffer;
}
const text = 1, binary = 2, close = 8, ping = 9, pong = 10;

// A connection that sends exactly the bytes it is told to.
class Raw {
  readonly frames: Frame[] = [];
  ended = false;
  status = 0;
  private buffer = Buffer.alloc(0);
  private upgraded = false;
  private constructor(readonly tcp: TcpSocket) {
    tcp.on('data', (d) => {
      this.buffer = Buffer.concat([this.buffer, d]);
      this.parse();
    });
    tcp.on('close', () => (this.ended = true));
    tcp.on('error', () => (this.ended = true));
  }
  static async open(headers: Record<string, string> = {}, path = '/v1/ws', base: Record<string, string | undefined> = {}): Promise<Raw> {
    const tcp = connect(server.port, '127.0.0.1');
    const raw = new Raw(tcp);
    const all: Record<string, string | undefined> = { Host: 'x', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...headers, ...base };
    tcp.write(`GET ${path} HTTP/1.1\r\n${Object.entries(all).filter(([, v]) => v !== undefined).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`);
    await eventually(() => assert.ok(raw.status !== 0 || raw.ended), 5000);
    return raw;
  }
  static async signedIn(): Promise<Raw> {
    const raw = await Raw.open({ Authorization: `Bearer ${user.token}` });
    await raw.message((m) => m.type === 'auth_success');
    return raw;
  }
  private parse(): void {
    if (!this.upgraded) {
      const end = this.buffer.indexOf('\r\n\r\n');
      if (end < 0) {
        return;
      }
      this.status = Number(/^HTTP\/1\.1 (\d+)/.exec(this.buffer.toString('latin1'))?.[1]);
      this.upgraded = true;
      this.buffer = this.buffer.subarray(end + 4);
    }
    for (;;) {
      if (this.buffer.length < 2 || this.status !== 101) {
        return;
      }
      let length = this.buffer[1] & 0x7f;
      let at = 2;
      if (length === 126) {
        if (this.buffer.length < 4) {
          return;
        }
        length = this.buffer.readUInt16BE(2);
        at = 4;
      } else if (length === 127) {
        if (this.buffer.length < 10) {
          return;
        }
        length = Number(this.buffer.readBigUInt64BE(2));
        at = 10;
      }
      assert.equal(this.buffer[1] & 0x80, 0, 'a server does not mask');
      assert.equal(this.buffer[0] & 0x70, 0, 'no reserved bits');
      if (this.buffer.length < at + length) {
        return;
      }
      this.frames.push({ fin: (this.buffer[0] & 0x80) !== 0, op: this.buffer[0] & 15, payload: Buffer.from(this.buffer.subarray(at, at + length)) });
      this.buffer = this.buffer.subarray(at + length);
    }
  }
  static encode(op: number, payload: Buffer | string, options: { fin?: boolean; mask?: boolean; rsv?: number; length?: number } = {}): Buffer {
    const body = Buffer.from(payload as string);
    const length = options.length ?? body.length;
    const masked = options.mask !== false;
    const head = [(options.fin === false ? 0 : 0x80) | ((options.rsv ?? 0) << 4) | op];
    const bit = masked ? 0x80 : 0;
    if (length < 126) {
      head.push(bit | length);
    } else if (length < 65536) {
      head.push(bit | 126, length >> 8, length & 255);
    } else {
      const eight = Buffer.alloc(8);
      eight.writeBigUInt64BE(BigInt(length));
      head.push(bit | 127, ...eight);
    }
    const key = randomBytes(4);
    return Buffer.concat([Buffer.from(head), masked ? key : Buffer.alloc(0), masked ? Buffer.from(body.map((b, i) => b ^ key[i & 3])) : body]);
  }
  send(op: number, payload: Buffer | string, options: Parameters<typeof Raw.encode>[2] = {}): void {
    this.tcp.write(Raw.encode(op, payload, options));
  }
  json(message: unknown): void {
    this.send(text, JSON.stringify(message));
  }
  messages(): Message[] {
    return this.frames.filter((f) => f.op === text).map((f) => parseMessage(f.payload.toString()));
  }
  async message(match: (m: Message) => boolean, ms = 5000): Promise<Message> {
    return await eventually(() => {
      const found = this.messages().find(match);
      assert.ok(found, `a message like ${match}; have ${JSON.stringify(this.messages())}`);
      return found;
    }, ms);
  }
  async frame(op: number, ms = 5000): Promise<Frame> {
    return await eventually(() => {
      const found = this.frames.find((f) => f.op === op);
      assert.ok(found, `a frame ${op}; have ${JSON.stringify(this.frames.map((f) => [f.op, f.payload.toString().slice(0, 100)]))}`);
      return found;
    }, ms);
  }
  // The server closes: with this code, and then the connection ends.
  async closes(codes: number[], ms = 5000): Promise<string> {
    const f = await this.frame(close, ms);
    const code = f.payload.length >= 2 ? f.payload.readUInt16BE(0) : 1005;
    assert.ok(codes.includes(code), `close code ${code} (${f.payload.subarray(2)}), not ${codes}`);
    this.send(close, f.payload.subarray(0, 2));
    await eventually(() => assert.ok(this.ended, 'the connection ends'), 5000);
    return f.payload.subarray(2).toString();
  }
  async works(): Promise<void> {
    const id = `s${Math.random()}`;
    this.json({ type: 'subscribe', subscription: { id, sql: 'SELECT * FROM w.t', options: {} } });
    await this.message((m) => m.type === 'initial_data_batch' && m.subscription_id === id);
  }
  end(): void {
    this.tcp.destroy();
  }
}

describe('handshake', () => {
  test('refused upgrades', async () => {
    for (const base of [{ 'Sec-WebSocket-Key': undefined }, { 'Sec-WebSocket-Version': '8' }, { Upgrade: undefined }, { Upgrade: 'h2c' }]) {
      const raw = await Raw.open({ Authorization: `Bearer ${user.token}` }, '/v1/ws', base);
      assert.ok(raw.status >= 400 && raw.status < 500, `${JSON.stringify(base)}: ${raw.status}`);
      raw.end();
    }
  });
  test('accept key', async () => {
    const tcp = connect(server.port, '127.0.0.1');
    tcp.write('GET /v1/ws HTTP/1.1\r\nHost: x\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    const head = await new Promise<string>((done) => tcp.once('data', (d) => done(d.toString())));
    assert.match(head, /^HTTP\/1\.1 101/);
    assert.match(head, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
    assert.doesNotMatch(head, /sec-websocket-extensions/i);
    tcp.destroy();
  });
  test('origins', async () => {
    const s = await Server.start({ config: { 'security.cors.allowed_origins': ['https://a.example'] } });
    try {
      await (await Socket.open(s.root(), { headers: { origin: 'https://a.example' } })).close();
      await (await Socket.open(s.root())).close();
      await assert.rejects(Socket.open(s.root(), { headers: { origin: 'https://b.example' } }), /403/);
    } finally {
      await s.stop();
    }
    const strict = await Server.start({ config: { 'security.cors.allowed_origins': ['https://a.example'], 'security.strict_ws_origin_check': true } });
    try {
      await assert.rejects(Socket.open(strict.root()), /403/);
    } finally {
      await strict.stop();
    }
  });
});

describe('authentication', () => {
  test('by header: success comes unasked', async () => {
    const raw = await Raw.open({ Authorization: `Bearer ${user.token}` });
    const m = await raw.message(() => true);
    assert.deepEqual(m, { type: 'auth_success', user: 'uma', role: 'user', protocol: { serialization: 'json', compression: 'gzip' } });
    assert.equal(raw.frames[0].op, text);
    raw.json({ type: 'authenticate', method: 'jwt', token: user.token, protocol: { serialization: 'json', compression: 'gzip' } });
    await eventually(() => assert.equal(raw.messages().filter((x) => x.type === 'auth_success').length, 2, 'again is echoed'));
    raw.end();
  });
  test('by message, with and without protocol', async () => {
    for (const protocol of [{ serialization: 'json', compression: 'gzip' }, undefined]) {
      const raw = await Raw.open();
      raw.json({ type: 'authenticate', method: 'jwt', token: user.token, protocol });
      assert.equal((await raw.message((m) => m.type === 'auth_success')).user, 'uma');
      await raw.works();
      raw.end();
    }
  });
  test('by query', async () => {
    const raw = await Raw.open({}, `/v1/ws?token=${user.token}`);
    assert.equal((await raw.message((m) => m.type === 'auth_success')).user, 'uma');
    raw.end();
  });
  test('refused', async () => {
    const bad = await Raw.open();
    bad.json({ type: 'authenticate', method: 'jwt', token: 'a.b.c', protocol: { serialization: 'json', compression: 'gzip' } });
    assert.match((await bad.message((m) => m.type === 'auth_error')).message as string, /Invalid credentials/);
    assert.match(await bad.closes([1008]), /Authentication failed/);
    const header = await Raw.open({ Authorization: 'Bearer a.b.c' });
    if (header.status === 101) {
      await header.message((m) => m.type === 'auth_error');
      await header.closes([1008]);
    } else {
      assert.equal(header.status, 401);
    }
    const query = await Raw.open({}, '/v1/ws?token=rubbish');
    if (query.status === 101) {
      await query.closes([1008]);
    } else {
      assert.equal(query.status, 401);
    }
  });
  test('timeout', async () => {
    const started = Date.now();
    const raw = await Raw.open();
    raw.json({ type: 'ping' });
    await raw.closes([1008], 5000);
    assert.ok(Date.now() - started >= 900, 'not at once');
    assert.ok(raw.messages().some((m) => m.type === 'auth_error'));
  });
  test('subscribe before it', async () => {
    const raw = await Raw.open();
    raw.json({ type: 'subscribe', subscription: { id: 's', sql: 'SELECT * FROM w.t', options: {} } });
    assert.equal((await raw.message((m) => m.type === 'error')).code, 'AUTH_REQUIRED');
    raw.json({ type: 'next_batch', subscription_id: 's' });
    raw.json({ type: 'unsubscribe', subscription_id: 's' });
    raw.json({ type: 'authenticate', method: 'jwt', token: user.token, protocol: { serialization: 'json', compression: 'gzip' } });
    await raw.message((m) => m.type === 'auth_success');
    await raw.works();
    raw.end();
  });
});

describe('frames', () => {
  test('unmasked: 1002', async () => {
    const raw = await Raw.signedIn();
    raw.send(text, '{"type":"ping"}', { mask: false });
    await raw.closes([1002]);
  });
  test('reserved bits and opcodes: 1002', async () => {
    for (const send of [(r: Raw) => r.send(text, 'x', { rsv: 4 }), (r: Raw) => r.send(3, 'x'), (r: Raw) => r.send(11, 'x'), (r: Raw) => r.send(0, 'x'), (r: Raw) => r.send(ping, 'x', { fin: false }), (r: Raw) => r.send(ping, 'x'.repeat(126))]) {
      const raw = await Raw.signedIn();
      send(raw);
      await raw.closes([1002]);
    }
    const raw = await Raw.signedIn();
    raw.send(text, '{"type":', { fin: false });
    raw.send(text, '"ping"}');
    await raw.closes([1002]);
  });
  test('text that is not UTF-8: 1007', async () => {
    for (const bytes of ['7b22ff227d', 'c0af', 'eda080', 'f4908080', 'e282']) {
      const raw = await Raw.signedIn();
      raw.send(text, Buffer.from(bytes, 'hex'));
      await raw.closes([1007]);
    }
  });
  test('fragments, with a ping between, byte by byte', async () => {
    const raw = await Raw.signedIn();
    const m = Buffer.from(JSON.stringify({ type: 'subscribe', subscription: { id: 'frag-\u00e4\u{1f600}', sql: 'SELECT * FROM w.t', options: {} } }));
    const bytes: Buffer[] = [];
    for (let i = 0; i < m.length; i++) {
      bytes.push(Raw.encode(i === 0 ? text : 0, m.subarray(i, i + 1), { fin: i === m.length - 1 }));
      if (i === 5) {
        bytes.push(Raw.encode(ping, 'mid'));
      }
    }
    for (const b of Buffer.concat(bytes)) {
      raw.tcp.write(Buffer.from([b]));
    }
    assert.equal((await raw.frame(pong)).payload.toString(), 'mid');
    assert.equal((await raw.message((x) => x.type === 'subscription_ack')).subscription_id, 'frag-\u00e4\u{1f600}');
    raw.end();
  });
  test('many frames in one packet', async () => {
    const raw = await Raw.signedIn();
    const frames = Array.from({ length: 50 }, (_, i) => Raw.encode(ping, `p${i}`));
    raw.tcp.write(Buffer.concat(frames));
    await eventually(() => assert.deepEqual(raw.frames.filter((f) => f.op === pong).map((f) => f.payload.toString()), Array.from({ length: 50 }, (_, i) => `p${i}`)));
    raw.end();
  });
  test('too large: told, or closed with 1009; never taken', async () => {
    const big = await Raw.signedIn();
    big.json({ type: 'subscribe', subscription: { id: 'big', sql: `SELECT * FROM w.t WHERE v = '${'x'.repeat(5000)}'`, options: {} } });
    const e = await big.message((m) => m.type === 'error');
    assert.equal(e.code, 'MESSAGE_TOO_LARGE');
    assert.equal(e.subscription_id, 'protocol');
    await big.works();
    big.end();
    const huge = await Raw.signedIn();
    huge.send(text, 'x', { length: 2 ** 40 });
    await eventually(() => assert.ok(huge.ended || huge.frames.some((f) => f.op === close || (f.op === text && f.payload.includes('MESSAGE_TOO_LARGE')))));
    huge.end();
    const sum = await Raw.signedIn();
    sum.send(text, 'x'.repeat(3000), { fin: false });
    sum.send(0, 'x'.repeat(3000), { fin: true });
    assert.equal((await sum.message((m) => m.type === 'error')).code, 'MESSAGE_TOO_LARGE');
    sum.end();
  });
  test('binary on a JSON connection: told, stays', async () => {
    const raw = await Raw.signedIn();
    raw.send(binary, Buffer.from([1, 2, 3]));
    const e = await raw.message((m) => m.type === 'error');
    assert.equal(e.code, 'UNSUPPORTED_DATA');
    assert.equal(e.subscription_id, 'protocol');
    await raw.works();
    raw.end();
  });
  test('messages that are no messages', async () => {
    for (const bad of ['{"type":', 'null', '[]', '7', '', '{"a":'.repeat(900)]) {
      const raw = await Raw.signedIn();
      raw.send(text, bad);
      await eventually(() => assert.ok(raw.ended || raw.frames.some((f) => f.op === close) || raw.messages().some((m) => m.type === 'error'), `answered: ${bad}`));
      if (bad === '{"type":') {
        await raw.closes([1011, 1007, 1008]);
      }
      raw.end();
    }
    const raw = await Raw.signedIn();
    raw.json({ type: 'wibble' });
    await eventually(() => assert.ok(raw.frames.some((f) => f.op === close) || raw.messages().some((m) => m.type === 'error')));
    raw.end();
    for (const subscription of [{}, { id: 'x' }, { sql: 'SELECT 1' }, { id: 7, sql: 'SELECT * FROM w.t' }, null, 'x', { id: 'x', sql: 'SELECT * FROM w.t', options: 7 }, { id: 'x', sql: 'SELECT * FROM w.t', options: { from: 'abc' } }, { id: 'x', sql: 'SELECT * FROM w.t', options: { last_rows: -1 } }]) {
      const r = await Raw.signedIn();
      r.json({ type: 'subscribe', subscription });
      await eventually(() => assert.ok(r.frames.some((f) => f.op === close) || r.messages().some((m) => m.type === 'error'), `refused: ${JSON.stringify(subscription)}`));
      r.end();
    }
    await root.ok('SELECT 1');
  });
  test('JSON ping has no answer; pings keep the connection; silence ends it', async () => {
    const raw = await Raw.signedIn();
    const quiet = await Raw.signedIn();
    const before = raw.messages().length;
    for (let i = 0; i < 6; i++) {
      raw.json({ type: 'ping' });
      await sleep(1000);
    }
    assert.equal(raw.messages().length, before);
    assert.equal(raw.ended || raw.frames.some((f) => f.op === close), false);
    assert.ok(quiet.frames.some((f) => f.op === ping), 'the server pings who is silent');
    await raw.works();
    raw.end();
    await quiet.closes([1000], 4000);
  });
  test('close handshake', async () => {
    const raw = await Raw.signedIn();
    raw.send(close, Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('bye')]));
    const f = await raw.frame(close);
    assert.equal(f.payload.readUInt16BE(0), 1000);
    await eventually(() => assert.ok(raw.ended));
    const empty = await Raw.signedIn();
    empty.send(close, '');
    await empty.frame(close);
    await eventually(() => assert.ok(empty.ended));
    for (const payload of [Buffer.from([3]), Buffer.from([0x03, 0xec]), Buffer.from([0, 5]), Buffer.from([0x03, 0xe8, 0xff])]) {
      const bad = await Raw.signedIn();
      bad.send(close, payload);
      await bad.closes([1002, 1007]);
    }
  });
  test('abrupt ends leave nothing', async () => {
    const raws = await Promise.all(Array.from({ length: 30 }, () => Raw.signedIn()));
    for (const r of raws) {
      r.json({ type: 'subscribe', subscription: { id: 'a', sql: 'SELECT * FROM w.t', options: {} } });
    }
    await Promise.all(raws.map((r) => r.message((m) => m.type === 'subscription_ack')));
    raws.forEach((r, i) => (i % 2 ? r.tcp.resetAndDestroy() : r.end()));
    await eventually(async () => assert.equal(await root.value("SELECT COUNT(*) FROM system.live WHERE user_id = 'uma'"), '0'));
    await user.ok("INSERT INTO w.t VALUES (1, 'x')");
    await user.ok('DELETE FROM w.t WHERE TRUE');
  });
});

describe('what is sent', () => {
  test('gzip from 512 bytes on, unless refused', async () => {
    await user.ok(`INSERT INTO w.t VALUES (7, '${'y'.repeat(2000)}')`);
    const zipped = await Socket.open(user);
    zipped.subscribe('s', 'SELECT * FROM w.t', {});
    await zipped.take(2, 's');
    assert.equal(zipped.raw.find((r) => r.text.includes('yyyy'))!.binary, true);
    assert.equal(zipped.raw.find((r) => r.text.includes('auth_success'))!.binary, false);
    await zipped.close();
    for (const path of ['/v1/ws?compress=false', '/v1/ws?compression=none']) {
      const plain = await Socket.open(user, { path });
      plain.subscribe('s', 'SELECT * FROM w.t', {});
      await plain.take(2, 's');
      assert.equal(plain.raw.find((r) => r.text.includes('yyyy'))!.binary, false, path);
      await plain.close();
    }
    const told = await Socket.open(user, { header: false });
    told.send({ type: 'authenticate', method: 'jwt', token: user.token, protocol: { serialization: 'json', compression: 'none' } });
    assert.deepEqual((await told.find((m) => m.type === 'auth_success')).protocol, { serialization: 'json', compression: 'none' });
    told.subscribe('s', 'SELECT * FROM w.t', {});
    await told.take(2, 's');
    assert.equal(told.raw.find((r) => r.text.includes('yyyy'))!.binary, false);
    await told.close();
    await user.ok('DELETE FROM w.t WHERE TRUE');
  });
  test('messages per second', async () => {
    const s = await Server.start({ config: { 'rate_limit.max_messages_per_sec': 5 } });
    try {
      const socket = await Socket.open(s.root());
      for (let i = 0; i < 30; i++) {
        socket.send({ type: 'ping' });
      }
      const e = await socket.find((m) => m.type === 'error');
      assert.equal(e.code, 'RATE_LIMIT_EXCEEDED');
      assert.equal(e.subscription_id, 'rate_limit');
      await socket.close();
    } finally {
      await s.stop();
    }
  });
  test('shutdown: 1001', async () => {
    const s = await Server.start();
    const socket = await Socket.open(s.root());
    const closed = socket.waitClosed();
    await s.stop();
    assert.equal((await closed).code, 1001);
  });
});
