// Reads files and tells their SHA-256, a few MiB at a time, beside the page.
import { Sha256 } from "./sha256";

const PIECE = 4 * 2 ** 20;

addEventListener("message", async (event: MessageEvent<{ id: number; file: Blob }>) => {
  const { id, file } = event.data;
  try {
    const hash = new Sha256();
    for (let at = 0; at < file.size; at += PIECE) {
      hash.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
      postMessage({ id, read: Math.min(file.size, at + PIECE) });
    }
    postMessage({ id, sha256: hash.hex() });
  } catch (error) {
    postMessage({ id, failed: String(error) });
  }
});
