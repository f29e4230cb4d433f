// What the user may most likely do to a dataset (docs/people.md); the API has the last word.
import type { Me } from "../session";
import type { Dataset } from "./domain";

export interface May {
  /** Fill, describe, seal it. */
  write: boolean;
  /** Share, rename, delete it. */
  own: boolean;
}

export function mayDo(me: Me | null | undefined, dataset: Dataset): May {
  if (!me || me.role === "viewer") return { write: false, own: false };
  const own = me.role === "admin" || dataset.owner === me.name;
  const mine = new Set([
    `user:${me.name}`,
    "everyone",
    ...(me.groups ?? []).map((g) => `group:${g}`),
  ]);
  const write = own || dataset.shared.some(({ who, level }) => level === "write" && mine.has(who));
  return { write, own };
}
