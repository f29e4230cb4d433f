// Looking for a text in all that a job's workers wrote: the server looks, where the logs lie.
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, addressOf, asApiError, send } from "../api";
import { TextField } from "../components/form";
import { Notice } from "../components/notice";
import { count } from "../format";
import type { Job } from "../live";
import { setQuery, usePlace } from "../router";

interface Found {
  attempt: number;
  rank: number;
  stream: string;
  line: number;
  text: string;
  task?: number;
}

interface End {
  end: true;
  found: number;
  cut: string;
  unread: string[];
}

interface State {
  found: readonly Found[];
  end: End | null;
  error: ApiError | null;
  running: boolean;
}

const NOTHING: State = { found: [], end: null, error: null, running: false };

export function LogSearch({ job }: { job: Job }) {
  const asked = usePlace().query.get("find") ?? "";
  const [text, setText] = useState(asked);
  const [round, setRound] = useState(0);
  const { found, end, error, running } = useSearch(job.id, asked, round);
  return (
    <section class="panel log-search" aria-labelledby="log-search">
      <h2 id="log-search">Search</h2>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery({ find: text });
          setRound((n) => n + 1);
        }}
      >
        <TextField
          label="Text"
          help="In all ranks and attempts, upper and lower case as they are"
          value={text}
          onValue={setText}
          spellcheck={false}
        />
        <button type="submit" class="button" aria-busy={running}>
          {running ? "Searching" : "Search"}
        </button>
      </form>
      {error && <Notice error={error} />}
      <p role="status" class="quiet">
        {running && `${count(found.length, "line")} so far`}
        {end && `${count(end.found, "line")} found. ${end.cut}`}
        {end && end.unread.length > 0 && ` Not read: ${end.unread.join(", ")}`}
      </p>
      {found.length > 0 && (
        <ol class="found" tabIndex={0} aria-label="Lines found">
          {found.map((each) => (
            <li key={`${each.task} ${each.attempt} ${each.rank} ${each.stream} ${each.line}`}>
              <span class="fine num">
                {each.task === undefined ? `rank ${each.rank}` : `task ${each.task}`}, attempt{" "}
                {each.attempt}, {each.stream} {each.line}
              </span>
              <span class="mono">
                <Marked text={each.text} what={asked} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Marked({ text, what }: { text: string; what: string }) {
  const parts = what ? text.split(what) : [text];
  return (
    <>
      {parts.map((part, at) => (
        <span key={at}>
          {at > 0 && <mark>{what}</mark>}
          {part}
        </span>
      ))}
    </>
  );
}

function useSearch(job: string, text: string, round: number): State {
  const [state, setState] = useState<State>(NOTHING);
  const found = useRef<Found[]>([]);
  useEffect(() => {
    found.current = [];
    setState({ ...NOTHING, running: Boolean(text) });
    if (!text) return;
    const cancel = new AbortController();
    look(job, text, cancel.signal, (told) => {
      if ("end" in told) setState((old) => ({ ...old, end: told, running: false }));
      else {
        found.current = [...found.current, told];
        setState((old) => ({ ...old, found: found.current }));
      }
    }).catch((error: unknown) => {
      if (cancel.signal.aborted) return;
      setState((old) => ({ ...old, error: asApiError(error), running: false }));
    });
    return () => cancel.abort();
  }, [job, text, round]);
  return state;
}

async function look(
  job: string,
  text: string,
  signal: AbortSignal,
  hear: (told: Found | End) => void,
): Promise<void> {
  const address = addressOf("/api/v1/jobs/{job}/logs", { job }, { search: text, stream: "both" });
  const reader = (await send(address, { signal })).body?.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line) hear(JSON.parse(line));
  }
}
