// Every ```sql block of README.md and docs/*.md runs as written, in order, on a fresh server for each document.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Server } from './lib/server.js';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const documents = ['README.md', ...readdirSync(join(root, 'docs')).filter((f) => f.endsWith('.md')).map((f) => join('docs', f))];

// Backslash commands belong to the prompt, not to the server.
const blocks = (path: string) =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/^```sql\n([\s\S]*?)^```/gm)].map((m) =>
    m[1]!.split('\n').filter((line) => !line.startsWith('\\')).join('\n'),
  );

describe('examples of the documents', { concurrency: false }, () => {
  let found = 0;
  for (const path of documents) {
    const texts = blocks(path);
    found += texts.length;
    if (texts.length > 0) {
      test(`${path} (${texts.length})`, async () => {
        const server = await Server.start();
        try {
          for (const text of texts) {
            const reply = await server.root().sql(text);
            assert.equal(reply.status, 'success', `${text}\n${JSON.stringify(reply.error)}`);
          }
        } finally {
          await server.stop();
        }
      });
    }
  }
  test('there are some', () => assert.ok(found >= 6));
});
