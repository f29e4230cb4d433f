// What a job's workers use, sample by sample, as it is told.
import { useEffect, useState } from "preact/hooks";
import { type ApiError, api, ApiError as Problem, type Schemas } from "../api";
import { isClosed } from "../components/status";
import { useFetched } from "../fetched";
import { follow, type Job } from "../live";

type Usage = Schemas["UsageView"];
type Rank = Schemas["RankView"];
export type Sample = Schemas["SampleView"];

/** So many samples of a worker are kept; beyond that every second one of the older half goes. */
const MOST_SAMPLES = 2_000;

export interface LiveUsage {
  usage: Usage | null;
  error: ApiError | null;
}

/** The usage of an attempt; the newest one's is told live. */
export function useUsage(job: Job, attempt: number): LiveUsage {
  const [told, setTold] = useState<Usage | null>(null);
  const [refused, setRefused] = useState<ApiError | null>(null);
  const live = attempt === job.attempt && !isClosed(job.status);
  const read = useFetched(live ? null : `${job.id} ${attempt}`, (signal) =>
    api.get("/api/v1/jobs/{job}/usage", { path: { job: job.id }, query: { attempt }, signal }),
  );
  useEffect(() => {
    setTold(null);
    setRefused(null);
    if (!live) return;
    return follow({ topic: "usage", job: job.id }, (message) => {
      if (message.type === "usage") setTold((old) => joined(old, message.usage));
      if (message.type === "error") {
        setRefused(new Problem(0, message.code, message.detail, message.hint));
      }
    });
  }, [job.id, attempt, live]);
  return { usage: live ? told : (read.value ?? told), error: refused ?? read.error };
}

/** What was told before, and the samples that are new; told twice they count once. */
export function joined(old: Usage | null, news: Usage): Usage {
  if (!old || old.attempt !== news.attempt) return news;
  const known = new Map(old.ranks.map((each) => [each.rank, each]));
  return { ...news, ranks: news.ranks.map((each) => longer(known.get(each.rank), each)) };
}

function longer(old: Rank | undefined, news: Rank): Rank {
  const last = old?.samples.at(-1)?.at ?? "";
  const fresh = news.samples.filter((each) => each.at > last);
  return { ...news, samples: thinned([...(old?.samples ?? []), ...fresh]) };
}

function thinned(samples: readonly Sample[]): Sample[] {
  if (samples.length <= MOST_SAMPLES) return [...samples];
  const half = samples.length >> 1;
  return samples.filter((_, at) => at >= half || at % 2 === 0);
}

/** How much more a second between each sample and the one before; times in seconds since 1970. */
export function rates(
  samples: readonly Sample[],
  count: (sample: Sample) => number | null,
): [number, number | null][] {
  const found: [number, number | null][] = [];
  for (let at = 1; at < samples.length; at++) {
    const [before, now] = [samples[at - 1], samples[at]];
    if (!before || !now) continue;
    const [from, to] = [count(before), count(now)];
    const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
    const rate = from === null || to === null || seconds <= 0 ? null : (to - from) / seconds;
    found.push([Date.parse(now.at) / 1000, rate === null ? null : Math.max(0, rate)]);
  }
  return found;
}
