// A tar archive (POSIX.1-2001, pax) put together in the browser, of files as they are.

const BLOCK = 512;
const text = new TextEncoder();

export interface Member {
  path: string;
  content: Blob;
}

/** `at`: seconds since 1970, which all members get. */
export function tarOf(members: readonly Member[], at: number): Blob {
  const parts: BlobPart[] = [];
  for (const { path, content } of members) {
    const plain = text.encode(path).length <= 100 && /^[ -~]*$/.test(path);
    if (!plain) {
      const record = paxRecord("path", path);
      parts.push(header("pax", record.length, at, "x"), record, padding(record.length));
    }
    parts.push(header(plain ? path : "long", content.size, at, "0"), content);
    parts.push(padding(content.size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: "application/x-tar" });
}

function padding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** `LENGTH path=…\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Uint8Array<ArrayBuffer> {
  const rest = text.encode(` ${key}=${value}\n`).length;
  let length = rest + 1;
  while (String(length).length + rest !== length) length += 1;
  return text.encode(`${length} ${key}=${value}\n`);
}

function header(path: string, size: number, at: number, type: string): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const put = (from: number, value: string) => block.set(text.encode(value), from);
  const octal = (from: number, width: number, value: number) =>
    put(from, value.toString(8).padStart(width - 1, "0"));
  put(0, path);
  octal(100, 8, 0o644);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, size);
  octal(136, 12, Math.floor(at));
  put(148, "        ");
  put(156, type);
  put(257, "ustar");
  put(263, "00");
  octal(
    148,
    7,
    block.reduce((sum, byte) => sum + byte, 0),
  );
  block[154] = 0;
  return block;
}
