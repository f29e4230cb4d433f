// One job: where it stands and why, and all that is known of it, each part under a tab.
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import "./job.css";
import { Notice } from "../components/notice";
import { type Tab, Tabs, useTab } from "../components/tabs";
import { useFetched } from "../fetched";
import { Head } from "../jobs/head";
import { useJob } from "../jobs/live-job";
import { Overview } from "../jobs/overview";
import type { Job } from "../live";
import type { PageProps } from "../routes";

export interface PartProps {
  job: Job;
}

interface Part extends Tab {
  load: () => Promise<{ default: ComponentType<PartProps> }>;
}

const PARTS: readonly Part[] = [
  { key: "overview", label: "Overview", load: async () => ({ default: Overview }) },
  { key: "logs", label: "Logs", load: () => import("../jobs/logs") },
  { key: "usage", label: "Usage", load: () => import("../jobs/usage") },
  { key: "workers", label: "Workers", load: () => import("../jobs/workers") },
  { key: "tasks", label: "Tasks", load: () => import("../jobs/tasks") },
  { key: "events", label: "Events", load: () => import("../jobs/events") },
  { key: "lineage", label: "Lineage", load: () => import("../jobs/lineage") },
  { key: "file", label: "Job file", load: () => import("../jobs/file") },
];

export default function JobPage({ params }: PageProps) {
  const id = params.job ?? "";
  const { job, error, again } = useJob(id);
  useEffect(() => {
    if (job) document.title = `${job.name || job.id} · Headrace`;
  }, [job?.name, job?.id]);
  if (!job) {
    if (error) return <Notice error={error} onRetry={again} />;
    return <div class="loading" aria-busy="true" />;
  }
  return <Shown key={id} job={job} again={again} error={error} />;
}

function Shown({ job, again, error }: PartProps & Omit<ReturnType<typeof useJob>, "job">) {
  const parts = PARTS.filter((each) => each.key !== "tasks" || job.tasks);
  const shown = useTab(parts);
  const part = useFetched(shown, async () => {
    const found = parts.find((each) => each.key === shown) ?? parts[0];
    return (await found?.load())?.default;
  });
  const Body = part.value;
  return (
    <>
      <Head job={job} onChange={again} />
      {error && <Notice error={error} onRetry={again} />}
      <Tabs label="Parts of the job" tabs={parts} />
      {part.error && <Notice error={part.error} onRetry={part.again} />}
      <div class="job-part">{Body && <Body job={job} />}</div>
    </>
  );
}
