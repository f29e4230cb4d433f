// Following a log: of a worker by the WebSocket, of a task of an array by REST.
import { useEffect, useState } from "preact/hooks";
import { type ApiError, addressOf, asApiError, ApiError as Problem, send } from "../api";
import { follow } from "../live";
import { type From, LogText, type LogView } from "./log-text";

export type Stream = "both" | From;

export interface Source {
  job: string;
  attempt: number;
  rank: number;
  /** Of an array: which of its tasks. */
  task: number | null;
  stream: Stream;
}

export interface Log extends LogView {
  over: boolean;
  error: ApiError | null;
}

interface Hearing {
  take: (from: From, text: string) => void;
  over: () => void;
  failed: (error: ApiError) => void;
}

const EMPTY: Log = { blocks: [], open: [], dropped: 0, lines: 0, over: false, error: null };
const AGAIN_MS = 1_000;
const CALM_MS = 30;

/** The log as it is written; null: of none yet. */
export function useLog(source: Source | null): Log {
  const [log, setLog] = useState<Log>(EMPTY);
  const key = source ? JSON.stringify(source) : "";
  useEffect(() => {
    setLog(EMPTY);
    if (!source) return;
    const text = new LogText();
    let frame = 0;
    let shownAt = 0;
    const show = () => {
      frame = 0;
      shownAt = performance.now();
      setLog((old) => ({ ...old, ...text.view() }));
    };
    const hearing: Hearing = {
      take: (from, piece) => {
        text.take(from, piece);
        // What comes alone is shown at once; what comes in a flood once a frame.
        if (frame) return;
        if (performance.now() - shownAt > CALM_MS) show();
        else frame = requestAnimationFrame(show);
      },
      over: () => {
        text.end();
        setLog((old) => ({ ...old, ...text.view(), over: true }));
      },
      failed: (error) => setLog((old) => ({ ...old, error })),
    };
    const stop = source.task === null ? worker(source, hearing) : task(source, hearing);
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [key]);
  return log;
}

function worker({ job, attempt, rank, stream }: Source, hearing: Hearing): () => void {
  return follow({ topic: "logs", job, attempt, rank, stream }, (message) => {
    if (message.type === "log") hearing.take(message.stream, message.text);
    if (message.type === "end") hearing.over();
    if (message.type === "error") {
      hearing.failed(new Problem(0, message.code, message.detail, message.hint));
    }
  });
}

function task(source: Source, hearing: Hearing): () => void {
  const cancel = new AbortController();
  const froms: From[] = source.stream === "both" ? ["out", "err"] : [source.stream];
  Promise.all(froms.map((from) => follows(source, from, hearing, cancel.signal)))
    .then(hearing.over)
    .catch((error: unknown) => {
      if (!cancel.signal.aborted) hearing.failed(asApiError(error));
    });
  return () => cancel.abort();
}

/** Read a stream to its end, again from where it broke. */
async function follows(source: Source, from: From, hearing: Hearing, signal: AbortSignal) {
  const decoder = new TextDecoder();
  for (let offset = 0; ; ) {
    const address = addressOf(
      "/api/v1/jobs/{job}/logs",
      { job: source.job },
      { task: source.task, stream: from, follow: true, offset },
    );
    try {
      const answer = await send(address, { signal });
      const reader = answer.body?.getReader();
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        offset += part.value.length;
        hearing.take(from, decoder.decode(part.value, { stream: true }));
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      const { status } = error instanceof Problem ? error : { status: 0 };
      if (status >= 400 && status < 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
