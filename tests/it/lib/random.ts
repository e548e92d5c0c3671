// Seeded randomness, so that a failure can be run again: KL_IT_SEED=<what was printed>. KL_IT_SCALE multiplies how much the heavy
// tests do (default 1).
export class Random {
  private state: number;
  constructor(readonly seed: number) {
    this.state = seed >>> 0;
  }
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  int(below: number): number {
    return Math.floor(this.next() * below);
  }
  range(from: number, to: number): number {
    return from + this.int(to - from + 1);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)];
  }
}

// `usual` is taken when none is given: for a test that looks for what is not known yet, which a build that checks something else must not stumble on.
export function seeded(label: string, usual?: number): Random {
  const given = process.env.KL_IT_SEED && process.env.KL_IT_SEED !== 'random' ? Number(process.env.KL_IT_SEED) : undefined;
  const seed = given ?? (process.env.KL_IT_SEED === undefined ? usual : undefined) ?? Math.floor(Math.random() * 2 ** 31);
  console.log(`${label}: KL_IT_SEED=${seed}`);
  return new Random(seed);
}

export const scale = Number(process.env.KL_IT_SCALE ?? 1);
export function scaled(n: number): number {
  return Math.max(1, Math.round(n * scale));
}
export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
// Waits until probe() no longer throws; then its value. The last failure when the time is over.
export async function eventually<T>(probe: () => Promise<T> | T, ms = 10_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    try {
      return await probe();
    } catch (e) {
      if (Date.now() > end) {
        throw e;
      }
    }
    await sleep(20);
  }
}
