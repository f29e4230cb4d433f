// How far an upload is: the whole, and each file that is on its way or failed.
import "./uploads.css";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { bytes, count, duration } from "../format";
import { useStore } from "../store";
import {
  bytesThere,
  cancel,
  forget,
  isToRetry,
  retry,
  type Sending,
  type Upload,
  uploads,
} from "./upload";

const SHOWN = 8;
const WORDS = {
  waiting: "waits",
  reading: "is read",
  sending: "is sent",
  done: "is there",
  failed: "failed",
  canceled: "canceled",
} as const;

export function UploadPanel({ dataset }: { dataset: string }) {
  const one = useStore(uploads).get(dataset);
  if (!one) return null;
  const busy = one.phase !== "over";
  const again = one.files.filter(isToRetry).length;
  return (
    <section class="panel uploads" aria-labelledby="uploads">
      <div class="spread">
        <h2 id="uploads">Upload</h2>
        <div class="row">
          {one.phase === "sending" && (
            <button type="button" class="button" onClick={() => cancel(dataset)}>
              Cancel the upload
            </button>
          )}
          {!busy && again > 0 && (
            <button type="button" class="button primary" onClick={() => retry(dataset)}>
              Send {count(again, "file")} again
            </button>
          )}
          {!busy && (
            <button
              type="button"
              class="button icon"
              aria-label="Close"
              onClick={() => forget(dataset)}
            >
              <Icon name="close" />
            </button>
          )}
        </div>
      </div>
      <Whole one={one} />
      {one.error && <Notice error={one.error} />}
      {one.notes.length > 0 && (
        <div class="notice">
          <ul>
            {one.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </div>
      )}
      <Files files={one.files} />
    </section>
  );
}

function Whole({ one }: { one: Upload }) {
  const total = one.files.reduce((sum, { file }) => sum + file.size, 0);
  const there = bytesThere(one.files);
  const done = one.files.filter(({ state }) => state === "done").length;
  const seconds = (Date.now() - one.beganAt) / 1000;
  const sent = there - one.beganBytes;
  const left = sent > 0 && seconds > 3 ? ((total - there) / sent) * seconds : null;
  return (
    <>
      <progress max={Math.max(1, total)} value={total ? there : 1} aria-label="Upload">
        {bytes(there)}
      </progress>
      <div class="spread fine num">
        <span role="status">{sentence(one, done)}</span>
        <span>
          {bytes(there)} of {bytes(total)}
          {one.phase === "sending" && left !== null && ` · about ${duration(left)} left`}
        </span>
      </div>
    </>
  );
}

function sentence(one: Upload, done: number): string {
  const of = `${done.toLocaleString()} of ${count(one.files.length, "file")}`;
  if (one.phase === "sending") return `Sending: ${of} there.`;
  if (one.phase === "sealing") return "All files are there; the dataset is being sealed.";
  if (one.sealed) return `${count(done, "file")} uploaded and sealed.`;
  const failed = one.files.filter(({ state }) => state === "failed").length;
  const canceled = one.files.filter(({ state }) => state === "canceled").length;
  const rest = [failed && `${failed} failed`, canceled && `${canceled} canceled`].filter(Boolean);
  return rest.length ? `${of} there, ${rest.join(", ")}.` : `${of} there.`;
}

function Files({ files }: { files: readonly Sending[] }) {
  const told = files.filter(({ state }) => state !== "done" && state !== "waiting");
  const failed = told.filter(({ state }) => state === "failed");
  const shown = [...failed, ...told.filter(({ state }) => state !== "failed")].slice(0, SHOWN);
  return (
    <ul class="uploads-files">
      {shown.map((each) => (
        <li key={each.path}>
          <span class="uploads-path">{each.path}</span>
          <span class={`fine ${each.state === "failed" ? "uploads-bad" : ""}`}>
            {WORDS[each.state]}
          </span>
          <span class="fine num end">
            {bytes(each.moved)} of {bytes(each.file.size)}
          </span>
          {each.error && (
            <span class="uploads-why">
              {each.error.detail}
              {each.error.hint && <span class="quiet"> Next: {each.error.hint}</span>}
            </span>
          )}
        </li>
      ))}
      {told.length > shown.length && <li class="fine">and {told.length - shown.length} more</li>}
    </ul>
  );
}
