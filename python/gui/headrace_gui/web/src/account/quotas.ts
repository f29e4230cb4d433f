// Quotas as the API writes them: `cpus=64 memory=256GiB cpu_hours=1000/30d`.
import { bytes } from "../format";

export interface Limit {
  what: string;
  used: number | null;
  of: number;
  text: string;
}

const SIZES: Record<string, number> = {
  m: 1e-3,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
};
const NAMES: Record<string, string> = {
  cpus: "CPUs at a time",
  memory: "Memory at a time",
  gpus: "GPUs at a time",
  jobs: "Running jobs",
  cpu_hours: "CPU hours",
};

function amount(text: string): number {
  const found = /^([0-9.]+)([A-Za-z]*)$/.exec(text.split("/")[0] ?? "");
  return found ? Number(found[1]) * (SIZES[found[2] ?? ""] ?? 1) : Number.NaN;
}

function words(text: string | null | undefined): [string, string][] {
  return (text ?? "")
    .split(" ")
    .filter(Boolean)
    .map((word) => {
      const at = word.indexOf("=");
      return [word.slice(0, at), word.slice(at + 1)];
    });
}

const shown = (what: string, value: number) =>
  what === "memory" ? bytes(value) : value.toLocaleString(undefined, { maximumFractionDigits: 1 });

/** The limits on what runs, each with what is used of it where that is told. */
export function limitsOf(quota?: string | null, used?: string | null): Limit[] {
  const told = new Map(words(used));
  return words(quota).map(([name, text]) => {
    const of = amount(text);
    const said = told.get(name);
    const now = said === undefined ? null : amount(said);
    const days = /\/(\d+)d$/.exec(text)?.[1];
    return {
      what: (NAMES[name] ?? name) + (days ? ` in ${days} days` : ""),
      used: now,
      of,
      text:
        now === null ? `at most ${shown(name, of)}` : `${shown(name, now)} of ${shown(name, of)}`,
    };
  });
}
