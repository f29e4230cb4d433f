// The quotas of a user or group, in the words of the API, which refuses what it can't read.
import { useState } from "preact/hooks";
import type { Schemas } from "../api";
import { Confirm } from "../components/confirm";
import { TextField } from "../components/form";

interface QuotaDialogProps {
  title: string;
  held: Schemas["UserView"] | Schemas["GroupView"];
  work: (quota: string) => Promise<unknown>;
  onClose: () => void;
}

const UNITS = ["TiB", "GiB", "MiB", "KiB"];

/** Bytes as a quota is written, exactly: the largest unit that leaves no rest. */
function sizeText(bytes: number): string {
  const at = UNITS.findIndex((_, index) => bytes % 1024 ** (4 - index) === 0 && bytes > 0);
  return at < 0 ? `${bytes}B` : `${bytes / 1024 ** (4 - at)}${UNITS[at]}`;
}

export function QuotaDialog({ title, held, work, onClose }: QuotaDialogProps) {
  const { quota_bytes: stored } = held;
  const bounded = stored !== null && stored !== undefined;
  const [data, setData] = useState(bounded ? sizeText(stored) : "");
  const [running, setRunning] = useState(held.run_quota ?? "");
  // What is not said beside `none` is taken away: the dialog shows all that there is.
  const wanted = ["none", data.trim(), running.trim()].filter(Boolean).join(" ");
  return (
    <Confirm
      title={title}
      verb="Set the quota"
      pending="Setting"
      onClose={onClose}
      work={() => work(wanted)}
    >
      <TextField
        label="Datasets and checkpoints"
        help="A size, such as 2TiB. Empty: no quota."
        value={data}
        onValue={setData}
        autoComplete="off"
        spellcheck={false}
      />
      <TextField
        label="What runs"
        help="Such as cpus=64 memory=256GiB gpus=4 jobs=20 cpu_hours=1000/30d, or some of these. Empty: no quota."
        value={running}
        onValue={setRunning}
        autoComplete="off"
        spellcheck={false}
      />
    </Confirm>
  );
}
