// What a job's workers write, as they write it. The last lines are kept; all of it is a download.
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import "./logs.css";
import { addressOf, api } from "../api";
import { CheckField, SelectField, TextField } from "../components/form";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { isClosed } from "../components/status";
import { useFetched } from "../fetched";
import type { Job } from "../live";
import { setQuery, usePlace } from "../router";
import { type Log, type Source, type Stream, useLog } from "./log-follow";
import { LogSearch } from "./log-search";
import type { Block, Line } from "./log-text";

const STREAMS = [
  ["both", "both"],
  ["out", "out"],
  ["err", "err"],
] as const;

/** What the address says is shown, as far as it makes sense. */
function useSource(job: Job): Source {
  const { query } = usePlace();
  const number = (name: string) => Number.parseInt(query.get(name) ?? "", 10);
  const stream = STREAMS.find(([each]) => each === query.get("stream"))?.[0] ?? "both";
  return {
    job: job.id,
    attempt: Math.min(number("attempt") || job.attempt, job.attempt),
    rank: Math.max(0, number("rank") || 0),
    task: job.tasks ? Math.max(0, number("task") || 0) : null,
    stream: stream as Stream,
  };
}

export default function Logs({ job }: { job: Job }) {
  const source = useSource(job);
  const log = useLog(job.attempt < 1 ? null : source);
  const [stays, setStays] = useState(true);
  const wraps = usePlace().query.get("wrap") !== "no";
  const { attempt, rank, task, stream } = source;
  const download = addressOf(
    "/api/v1/jobs/{job}/logs",
    { job: job.id },
    task === null ? { stream, rank, attempt } : { stream, task },
  );
  return (
    <>
      <section class="panel logs" aria-labelledby="logs">
        <div class="spread">
          <h2 id="logs">
            Output <span class="fine">{stateOf(log, job)}</span>
          </h2>
          <div class="row">
            <a class="button" href={download} download={`${job.name || job.id}.log`}>
              <Icon name="download" />
              Download
            </a>
          </div>
        </div>
        <div class="row log-which">
          <SelectField
            label="Stream"
            value={stream}
            onValue={(value) => setQuery({ stream: value === "both" ? "" : value })}
            options={STREAMS}
          />
          {task === null ? (
            <Workers job={job} source={source} />
          ) : (
            <TextField
              label="Task"
              type="number"
              min="0"
              max={String((job.tasks?.total ?? 1) - 1)}
              value={String(task)}
              onValue={(value) => setQuery({ task: value })}
            />
          )}
          <CheckField
            label="Wrap"
            checked={wraps}
            onValue={(on) => setQuery({ wrap: on ? "" : "no" })}
          />
          <CheckField label="Follow" checked={stays} onValue={setStays} />
        </div>
        {log.error && <Notice error={log.error} />}
        <Text log={log} stays={stays} onStays={setStays} wraps={wraps} />
      </section>
      <LogSearch job={job} />
    </>
  );
}

function stateOf(log: Log, job: Job): string {
  if (log.over) return log.lines ? "to its end" : "none";
  if (log.lines || log.open.length) return "live";
  return isClosed(job.status) ? "" : "none yet";
}

/** Which attempt and which of its workers. */
function Workers({ job, source }: { job: Job; source: Source }) {
  const { attempt, rank } = source;
  const usage = useFetched(job.attempt > 0 ? `${job.id} ${attempt}` : null, (signal) =>
    api.get("/api/v1/jobs/{job}/usage", {
      path: { job: job.id },
      query: { attempt, rank: 0 },
      signal,
    }),
  );
  const ranks = Math.max(1, job.allocation.length, usage.value?.workers ?? 1, rank + 1);
  return (
    <>
      {ranks > 1 && (
        <SelectField
          label="Rank"
          value={String(rank)}
          onValue={(value) => setQuery({ rank: value === "0" ? "" : value })}
          options={Array.from({ length: ranks }, (_, n) => [String(n), String(n)] as const)}
        />
      )}
      {job.attempt > 1 && (
        <SelectField
          label="Attempt"
          value={String(attempt)}
          onValue={(value) => setQuery({ attempt: Number(value) === job.attempt ? "" : value })}
          options={Array.from({ length: job.attempt }, (_, n) => {
            const each = String(n + 1);
            return [each, each] as const;
          })}
        />
      )}
    </>
  );
}

interface TextProps {
  log: Log;
  stays: boolean;
  onStays: (stays: boolean) => void;
  wraps: boolean;
}

function Text({ log, stays, onStays, wraps }: TextProps) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useBlocks(log.blocks);
  useLayoutEffect(() => {
    const at = box.current;
    if (at && stays) at.scrollTop = at.scrollHeight;
  }, [log, stays, wraps]);
  return (
    <div class="log-box">
      <div
        ref={box}
        class={`log ${wraps ? "" : "unwrapped"}`}
        role="log"
        aria-live="off"
        aria-label="Output"
        tabIndex={0}
        onScroll={(event) => {
          const at = event.currentTarget;
          const end = at.scrollHeight - at.scrollTop - at.clientHeight < 24;
          if (end !== stays) onStays(end);
        }}
      >
        {log.dropped > 0 && (
          <p class="fine">{log.dropped.toLocaleString()} earlier lines are in the download.</p>
        )}
        {drawn}
        {log.open.map((line) => (
          <LineOf key={line.from} line={line} />
        ))}
      </div>
      {!stays && (
        <button type="button" class="button log-end" onClick={() => onStays(true)}>
          Jump to the end
        </button>
      )}
    </div>
  );
}

/** The same element for a block that is the same: it is not drawn again. */
function useBlocks(blocks: readonly Block[]): VNode[] {
  const known = useRef(new Map<Block, VNode>());
  const drawn = useMemo(() => {
    const next = new Map<Block, VNode>();
    for (const block of blocks) {
      next.set(block, known.current.get(block) ?? draw(block));
    }
    return next;
  }, [blocks]);
  useEffect(() => {
    known.current = drawn;
  }, [drawn]);
  return [...drawn.values()];
}

function draw(block: Block): VNode {
  return (
    <div key={block.id}>
      {block.lines.map((line, at) => (
        <LineOf key={at} line={line} />
      ))}
    </div>
  );
}

function LineOf({ line }: { line: Line }) {
  return <div class={line.from}>{line.text || " "}</div>;
}
