// SHA-256 (FIPS 180-4) of what comes piece by piece: the browser's own takes whole buffers only,
// and none at all on a page that came over plain HTTP from another machine.

/** The first 32 bits of the fractional parts of roots of primes (4.2.2 and 5.3.3). */
function fractions(root: (prime: number) => number, number: number): Int32Array {
  const found: number[] = [];
  for (let each = 2; found.length < number; each += 1) {
    let prime = true;
    for (let by = 2; by * by <= each; by += 1) prime &&= each % by !== 0;
    if (prime) found.push(((root(each) % 1) * 2 ** 32) | 0);
  }
  return Int32Array.from(found);
}

const K = fractions(Math.cbrt, 64);
const START = fractions(Math.sqrt, 8);
const BLOCK = 64;

export class Sha256 {
  private readonly state = START.slice();
  private readonly words = new Int32Array(64);
  private readonly rest = new Uint8Array(BLOCK);
  private length = 0;

  update(data: Uint8Array): this {
    let at = 0;
    const kept = this.length % BLOCK;
    this.length += data.length;
    if (kept) {
      at = Math.min(BLOCK - kept, data.length);
      this.rest.set(data.subarray(0, at), kept);
      if (kept + at < BLOCK) return this;
      this.block(this.rest, 0);
    }
    for (; at + BLOCK <= data.length; at += BLOCK) this.block(data, at);
    this.rest.set(data.subarray(at));
    return this;
  }

  /** In hexadecimal; nothing may be added after it. */
  hex(): string {
    const bits = this.length * 8;
    const kept = this.length % BLOCK;
    const pad = new Uint8Array(kept < 56 ? BLOCK - kept : 2 * BLOCK - kept);
    pad[0] = 0x80;
    const end = new DataView(pad.buffer, pad.length - 8);
    end.setUint32(0, Math.floor(bits / 2 ** 32));
    end.setUint32(4, bits % 2 ** 32);
    this.update(pad);
    return [...this.state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  private block(data: Uint8Array, at: number): void {
    const w = this.words;
    for (let t = 0, from = at; t < 16; t += 1, from += 4) {
      w[t] =
        ((data[from] as number) << 24) |
        ((data[from + 1] as number) << 16) |
        ((data[from + 2] as number) << 8) |
        (data[from + 3] as number);
    }
    for (let t = 16; t < 64; t += 1) {
      const x = w[t - 15] as number;
      const y = w[t - 2] as number;
      const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = ((w[t - 16] as number) + low + (w[t - 7] as number) + high) | 0;
    }
    const s = this.state;
    let a = s[0] as number;
    let b = s[1] as number;
    let c = s[2] as number;
    let d = s[3] as number;
    let e = s[4] as number;
    let f = s[5] as number;
    let g = s[6] as number;
    let h = s[7] as number;
    for (let t = 0; t < 64; t += 1) {
      const one = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const first = (h + one + ((e & f) ^ (~e & g)) + (K[t] as number) + (w[t] as number)) | 0;
      const two = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const second = (two + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    s[0] = (s[0] as number) + a;
    s[1] = (s[1] as number) + b;
    s[2] = (s[2] as number) + c;
    s[3] = (s[3] as number) + d;
    s[4] = (s[4] as number) + e;
    s[5] = (s[5] as number) + f;
    s[6] = (s[6] as number) + g;
    s[7] = (s[7] as number) + h;
  }
}
