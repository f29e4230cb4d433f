// What a job's workers write, as they write it. The last lines are kept; the rest is a download.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import "./logs.css";
import { type ApiError, addressOf, ApiError as Problem } from "../api";
import { CheckField, SelectField } from "../components/form";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { follow, type Job } from "../live";

type Stream = "both" | "out" | "err";
interface Line {
  number: number;
  stream: "out" | "err";
  text: string;
}

const KEPT = 3_000;

export function Logs({ job }: { job: Job }) {
  const [stream, setStream] = useState<Stream>("both");
  const [rank, setRank] = useState(0);
  const [stays, setStays] = useState(true);
  const { lines, dropped, over, error } = useLog(job, stream, rank);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const at = box.current;
    if (at && stays) at.scrollTop = at.scrollHeight;
  }, [lines, stays]);
  const ranks = Math.max(1, job.allocation.length);
  const download = addressOf("/api/v1/jobs/{job}/logs", { job: job.id }, { stream, rank });
  return (
    <section class="panel logs" aria-labelledby="logs">
      <div class="spread">
        <h2 id="logs">
          Output{" "}
          <span class="fine">{over ? "to its end" : lines.length ? "live" : "none yet"}</span>
        </h2>
        <div class="row">
          <SelectField
            label="Stream"
            value={stream}
            onValue={(value) => setStream(value as Stream)}
            options={[
              ["both", "both"],
              ["out", "out"],
              ["err", "err"],
            ]}
          />
          {ranks > 1 && (
            <SelectField
              label="Rank"
              value={String(rank)}
              onValue={(value) => setRank(Number(value))}
              options={Array.from({ length: ranks }, (_, n) => [String(n), String(n)] as const)}
            />
          )}
          <CheckField label="Follow" checked={stays} onValue={setStays} />
          <a class="button" href={download} download={`${job.name || job.id}.log`}>
            <Icon name="download" />
            Download
          </a>
        </div>
      </div>
      {error && <Notice error={error} />}
      <div
        ref={box}
        class="log"
        role="log"
        aria-live="off"
        aria-label="Output"
        tabIndex={0}
        onScroll={(event) => {
          const at = event.currentTarget;
          const end = at.scrollHeight - at.scrollTop - at.clientHeight < 24;
          if (end !== stays) setStays(end);
        }}
      >
        {dropped > 0 && (
          <p class="fine">{dropped.toLocaleString()} earlier lines are in the download.</p>
        )}
        {lines.map((line) => (
          <div key={line.number} class={line.stream}>
            {line.text || " "}
          </div>
        ))}
      </div>
    </section>
  );
}

interface Log {
  lines: readonly Line[];
  dropped: number;
  over: boolean;
  error: ApiError | null;
}

const EMPTY: Log = { lines: [], dropped: 0, over: false, error: null };

function useLog(job: Job, stream: Stream, rank: number): Log {
  const [log, setLog] = useState<Log>(EMPTY);
  useEffect(() => {
    setLog(EMPTY);
    if (job.attempt < 1 || job.tasks) return;
    const rest = { out: "", err: "" };
    let fresh: Line[] = [];
    let made = 0;
    let frame = 0;
    const show = () => {
      frame = 0;
      const told = fresh;
      fresh = [];
      setLog((old) => {
        const all = [...old.lines, ...told];
        const surplus = Math.max(0, all.length - KEPT);
        return { ...old, lines: all.slice(surplus), dropped: old.dropped + surplus };
      });
    };
    const take = (from: "out" | "err", text: string) => {
      const parts = (rest[from] + text).split("\n");
      rest[from] = parts.pop() ?? "";
      for (const each of parts) fresh.push({ number: ++made, stream: from, text: each });
      frame ||= requestAnimationFrame(show);
    };
    const stop = follow(
      { topic: "logs", job: job.id, attempt: job.attempt, stream, rank },
      (message) => {
        if (message.type === "log") take(message.stream, message.text);
        if (message.type === "end") {
          for (const from of ["out", "err"] as const) if (rest[from]) take(from, "\n");
          setLog((old) => ({ ...old, over: true }));
        }
        if (message.type === "error") {
          const { code, detail, hint } = message;
          setLog((old) => ({ ...old, error: new Problem(0, code, detail, hint) }));
        }
      },
    );
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [job.id, job.attempt, stream, rank]);
  return log;
}
