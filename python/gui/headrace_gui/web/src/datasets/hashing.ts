// The SHA-256 of files, computed in a worker.
import { ApiError } from "../api";

interface Told {
  id: number;
  read?: number;
  sha256?: string;
  failed?: string;
}
type Hear = (told: Told) => void;

let worker: Worker | null = null;
let asked = 0;
const waiting = new Map<number, Hear>();

function theWorker(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL("./sha256.worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", (event: MessageEvent<Told>) =>
    waiting.get(event.data.id)?.(event.data),
  );
  worker.addEventListener("error", (event) => {
    worker = null;
    for (const [id, hear] of [...waiting]) {
      hear({ id, failed: event.message || "the worker that reads files broke" });
    }
  });
  return worker;
}

/** In hexadecimal; `moved` hears how many bytes are read. Throws `ApiError`. */
export function sha256Of(file: Blob, moved: (bytes: number) => void = () => {}): Promise<string> {
  const id = ++asked;
  return new Promise((resolve, reject) => {
    waiting.set(id, (told) => {
      if (told.read !== undefined) return moved(told.read);
      waiting.delete(id);
      if (told.sha256 !== undefined) return resolve(told.sha256);
      const why = `This file can't be read: ${told.failed}`;
      reject(
        new ApiError(0, "FILE", why, "Was it moved or changed? Choose the files again to go on."),
      );
    });
    theWorker().postMessage({ id, file });
  });
}
