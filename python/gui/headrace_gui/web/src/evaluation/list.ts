// Results of evaluations and calibrations that the user may see.
import { api } from "../api";
import type { Dataset } from "./result";

const PAGE = 200;

export async function listed(format: string, signal: AbortSignal): Promise<readonly Dataset[]> {
  const found: Dataset[] = [];
  let cursor: string | null = null;
  do {
    const page: { datasets: Dataset[]; cursor: string | null } = await api.get(
      "/api/v1/datasets",
      { query: { format, limit: PAGE, ...(cursor ? { cursor } : {}) }, signal },
    );
    found.push(...page.datasets.filter((each) => each.state === "SEALED"));
    cursor = page.cursor;
  } while (cursor && found.length < 5 * PAGE);
  return found;
}
