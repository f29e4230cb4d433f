// Uploads that go on while the user looks at other pages: several files at once, each with its
// own outcome. What failed is sent again alone; when all are there, the dataset is sealed.
import { type ApiError, api, asApiError } from "../api";
import { Store } from "../store";
import { sha256Of } from "./hashing";
import type { Picked } from "./picked";
import { BATCH_BYTES, BATCH_FILES, SMALL_BYTES, sendBatch, sendFile, type Whole } from "./sending";

export type FileState = "waiting" | "reading" | "sending" | "done" | "failed" | "canceled";

export interface Sending {
  path: string;
  file: File;
  state: FileState;
  /** Bytes read while it is `reading`, else bytes that are there. */
  moved: number;
  error: ApiError | null;
}

export type Phase = "sending" | "sealing" | "over";

export interface Upload {
  dataset: string;
  files: readonly Sending[];
  phase: Phase;
  /** Seal the dataset once all files are there. */
  seal: boolean;
  sealed: boolean;
  /** What the seal said of the files. */
  notes: readonly string[];
  error: ApiError | null;
  beganAt: number;
  /** What was there then. */
  beganBytes: number;
}

const AT_ONCE = 4;
const SHOW_MS = 100; // not by frames: a tab in the background has none
const PAUSES_MS = [500, 1500, 3000];
/** By the dataset's id. */
export const uploads = new Store<ReadonlyMap<string, Upload>>(new Map());
const running = new Map<string, Run>();

addEventListener("beforeunload", (event) => {
  if (running.size) event.preventDefault();
});

/** Send files into an OPEN dataset; more files may come while others are on their way. */
export function upload(dataset: string, picked: readonly Picked[], seal: boolean): void {
  const old = uploads.get().get(dataset);
  const coming = new Set(picked.map(({ path }) => path));
  const kept = (old?.files ?? []).filter((each) => isOnItsWay(each) || !coming.has(each.path));
  const going = new Set(kept.map(({ path }) => path));
  const files = picked
    .filter(({ path }) => !going.has(path))
    .map(({ path, file }) => fresh(path, file));
  begin(dataset, [...kept, ...files], seal);
}

/** Send again what failed or was canceled, and nothing else. */
export function retry(dataset: string): void {
  const old = uploads.get().get(dataset);
  if (!old) return;
  const again = old.files.map((each) => (isToRetry(each) ? fresh(each.path, each.file) : each));
  begin(dataset, again, old.seal);
}

export function cancel(dataset: string): void {
  running.get(dataset)?.cancel();
}

/** Show no more of an upload that is over. */
export function forget(dataset: string): void {
  if (running.has(dataset)) return;
  const rest = new Map(uploads.get());
  rest.delete(dataset);
  uploads.set(rest);
}

function fresh(path: string, file: File): Sending {
  return { path, file, state: "waiting", moved: 0, error: null };
}

export function bytesThere(files: readonly Sending[]): number {
  return files.reduce(
    (sum, { state, moved }) => sum + (state === "done" || state === "sending" ? moved : 0),
    0,
  );
}

export function isToRetry({ state }: Sending): boolean {
  return state === "failed" || state === "canceled";
}

export function isOnItsWay({ state }: Sending): boolean {
  return state === "waiting" || state === "reading" || state === "sending";
}

function begin(dataset: string, files: Sending[], seal: boolean): void {
  const one = running.get(dataset);
  if (one) {
    one.replace(files, seal);
    return;
  }
  const run = new Run(dataset, files, seal);
  running.set(dataset, run);
  void run.work().finally(() => {
    running.delete(dataset);
    run.show();
  });
}

class Run {
  private readonly stop = new AbortController();
  private shown: Upload;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly dataset: string,
    private files: Sending[],
    seal: boolean,
  ) {
    const beganAt = Date.now();
    const beganBytes = bytesThere(files);
    const nothing = { sealed: false, notes: [], error: null };
    this.shown = { dataset, files, phase: "sending", seal, ...nothing, beganAt, beganBytes };
    this.show();
  }

  cancel(): void {
    this.stop.abort();
  }

  replace(files: Sending[], seal: boolean): void {
    // Those that are on their way stay the objects that their senders write to.
    const now = new Map(this.files.map((each) => [each.file, each]));
    this.files = files.map((each) => {
      const known = now.get(each.file);
      return known && !isToRetry(known) ? known : each;
    });
    this.shown = { ...this.shown, seal };
    this.change();
  }

  async work(): Promise<void> {
    do {
      await Promise.all(Array.from({ length: AT_ONCE }, () => this.sender()));
    } while (!this.stop.signal.aborted && this.files.some(({ state }) => state === "waiting"));
    for (const each of this.files) {
      if (each.state !== "done" && each.state !== "failed") each.state = "canceled";
    }
    const whole = this.files.every(({ state }) => state === "done");
    if (whole && this.shown.seal && this.files.length) await this.sealIt();
    this.shown = { ...this.shown, phase: "over" };
  }

  show = (): void => {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.shown = { ...this.shown, files: this.files.map((each) => ({ ...each })) };
    uploads.set(new Map(uploads.get()).set(this.dataset, this.shown));
  };

  private change(): void {
    this.timer ??= setTimeout(this.show, SHOW_MS);
  }

  private async sealIt(): Promise<void> {
    this.shown = { ...this.shown, phase: "sealing" };
    this.show();
    try {
      const asked = { path: { dataset: this.dataset }, body: {} };
      const { notes } = await api.post("/api/v1/datasets/{dataset}:seal", asked);
      this.shown = { ...this.shown, sealed: true, notes };
    } catch (error) {
      this.shown = { ...this.shown, error: asApiError(error) };
    }
  }

  private async sender(): Promise<void> {
    while (!this.stop.signal.aborted) {
      const some = this.next();
      if (!some.length) return;
      const whole: Whole[] = [];
      for (const each of some) {
        const read = await this.read(each);
        if (read) whole.push(read);
      }
      if (whole.length > 1 && (await this.sentTogether(some, whole))) continue;
      for (const one of whole) {
        const each = some.find(({ path }) => path === one.path);
        if (each) await this.sendOne(each, one);
      }
    }
  }

  /** The next file, or several small ones. */
  private next(): Sending[] {
    const taken: Sending[] = [];
    let bytes = 0;
    for (const each of this.files) {
      if (each.state !== "waiting") continue;
      const small = each.file.size <= SMALL_BYTES;
      if (taken.length && (!small || bytes + each.file.size > BATCH_BYTES)) continue;
      each.state = "reading";
      taken.push(each);
      bytes += each.file.size;
      if (!small || taken.length === BATCH_FILES) break;
    }
    return taken;
  }

  private async read(each: Sending): Promise<Whole | null> {
    try {
      const sha256 = await sha256Of(each.file, (bytes) => this.moved(each, bytes));
      this.set(each, "sending", 0);
      return { path: each.path, file: each.file, sha256 };
    } catch (error) {
      this.fail(each, error);
      return null;
    }
  }

  /** Whether it went well; else they go alone, so that each tells what is wrong with it. */
  private async sentTogether(some: readonly Sending[], whole: readonly Whole[]): Promise<boolean> {
    try {
      await sendBatch(this.dataset, whole, this.stop.signal);
    } catch {
      return false;
    }
    for (const each of some) {
      if (each.state === "sending") this.set(each, "done", each.file.size);
    }
    return true;
  }

  private async sendOne(each: Sending, one: Whole): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        const moved = (bytes: number) => this.moved(each, bytes);
        await sendFile(this.dataset, one, this.stop.signal, moved);
        return this.set(each, "done", each.file.size);
      } catch (error) {
        const pause = PAUSES_MS[tries];
        if (this.stop.signal.aborted) return this.set(each, "canceled", each.moved);
        if (pause === undefined || !mayPass(error)) return this.fail(each, error);
        await this.sleep(pause);
      }
    }
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.stop.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private moved(each: Sending, bytes: number): void {
    each.moved = bytes;
    this.change();
  }

  private set(each: Sending, state: FileState, moved: number): void {
    each.state = state;
    this.moved(each, moved);
  }

  private fail(each: Sending, error: unknown): void {
    each.error = asApiError(error);
    this.set(each, "failed", each.moved);
  }
}

/** Whether the same again may go well: nobody answered, or a server was away or had too much. */
function mayPass(error: unknown): boolean {
  const { status } = asApiError(error);
  return status === 0 ? asApiError(error).code === "UNREACHABLE" : status === 429 || status >= 500;
}
