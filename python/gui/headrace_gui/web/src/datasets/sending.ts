// How the bytes of files get to the API: alone, resumed where they broke, or many small in one.
import { ApiError, addressOf, errorOf, raw, send } from "../api";
import { expire } from "../session";

export interface Whole {
  path: string;
  file: File;
  sha256: string;
}

const ITEM = "/api/v1/datasets/{dataset}/items/{path}";
/** Of a file this large the server knows where else it is (docs/data.md). */
const WORTH_BYTES = 2 ** 20;
export const SMALL_BYTES = 256 * 2 ** 10;
export const BATCH_BYTES = 2 ** 21;
export const BATCH_FILES = 256;

/** Send one file, from where an earlier try broke. `moved` hears how many bytes are there. */
export async function sendFile(
  dataset: string,
  one: Whole,
  signal: AbortSignal,
  moved: (bytes: number) => void,
): Promise<void> {
  const address = addressOf(ITEM, { dataset, path: one.path });
  const size = one.file.size;
  let at = 0;
  if (size >= WORTH_BYTES) {
    const sum = { "X-Content-SHA256": one.sha256 };
    const kept = await send(address, { method: "HEAD", headers: sum, signal });
    if (kept.headers.get("Upload-Complete") === "?1") return moved(size);
    at = Number(kept.headers.get("Upload-Offset") ?? 0);
    moved(at);
    if (at === 0 || at === size) {
      const nothing = { ...sum, "Content-Range": `bytes */${size}` };
      const taken = await raw(address, { method: "PUT", headers: nothing, signal });
      if (taken.ok) return moved(size);
      // Nobody has it: all of it is sent.
      if (taken.status !== 409) throw await errorOf(taken);
      at = Number(taken.headers.get("Upload-Offset") ?? 0);
    }
  }
  const headers: Record<string, string> = { "X-Content-SHA256": one.sha256 };
  if (size) headers["Content-Range"] = `bytes ${at}-${size - 1}/${size}`;
  await put(address, at ? one.file.slice(at) : one.file, headers, signal, (sent) =>
    moved(at + sent),
  );
}

/** Send small files in one request: all become items, or none. */
export async function sendBatch(
  dataset: string,
  files: readonly Whole[],
  signal: AbortSignal,
): Promise<void> {
  const items = files.map(({ path, file, sha256 }) => ({ path, size_bytes: file.size, sha256 }));
  const body = new Blob([`${JSON.stringify({ items })}\n`, ...files.map(({ file }) => file)]);
  const headers = { "Content-Type": "application/octet-stream" };
  const address = addressOf("/api/v1/datasets/{dataset}:upload", { dataset });
  await send(address, { method: "POST", headers, body, signal });
}

/** `fetch` tells nothing of how much was sent; this does. */
function put(
  address: string,
  body: Blob,
  headers: Record<string, string>,
  signal: AbortSignal,
  moved: (bytes: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address);
    request.setRequestHeader("X-Headrace-GUI", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => moved(event.loaded));
    request.addEventListener("load", () => {
      if (request.status < 300) return resolve();
      if (request.status === 401) expire();
      const told = new Response(request.responseText, { status: request.status });
      void errorOf(told).then(reject);
    });
    request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    request.addEventListener("error", () =>
      reject(
        new ApiError(
          0,
          "UNREACHABLE",
          "The connection broke while this file was sent.",
          "What arrived of a large file is kept: send it again, and it goes on from there.",
        ),
      ),
    );
    if (signal.aborted) return reject(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
