// What a job takes, by what each of it is met and why, and what it has made.
import { api, type Schemas } from "../api";
import { Notice } from "../components/notice";
import { isClosed } from "../components/status";
import { useFetched } from "../fetched";
import { bytes } from "../format";
import type { Job } from "../live";
import { Link } from "../router";
import { useFresh } from "./live-job";

type Wanted = NonNullable<NonNullable<Schemas["JobFile"]["inputs"]>[string]>;
type Lineage = Schemas["LineageView"];

export function Inputs({ job }: { job: Job }) {
  const wanted = Object.entries(job.spec?.inputs ?? {});
  const taken = useFresh(job, "taken", (signal) =>
    api.get("/api/v1/jobs/{job}/lineage", { path: { job: job.id }, query: { depth: 1 }, signal }),
  );
  return (
    <section class="panel" aria-labelledby="inputs">
      <h2 id="inputs">Data it takes</h2>
      {taken.error && <Notice error={taken.error} onRetry={taken.again} />}
      {wanted.length === 0 && <p class="quiet">None.</p>}
      <ul class="needs">
        {wanted.map(([name, each]) => (
          <li key={name}>
            <p>
              <strong>{name}</strong> <span class="fine">{asked(each)}</span>
            </p>
            {taken.value && <Met job={job} name={name} wanted={each} lineage={taken.value} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A requirement in words: category, format, what it must cover. */
function asked({ category, format, domain, shape, derived }: Wanted): string {
  const covers = Object.entries(domain ?? {}).map(([index, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${index.toLowerCase().replaceAll("_", " ")} ${text.length > 80 ? `${text.slice(0, 77)}…` : text}`;
  });
  return [
    category,
    format,
    ...covers,
    shape && shape !== "ANY" ? `shape ${shape}` : "",
    derived ? `derived by ${derived.by}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

interface MetProps {
  job: Job;
  name: string;
  wanted: Wanted;
  lineage: Lineage;
}

function Met({ job, name, wanted, lineage }: MetProps) {
  const sources = lineage.edges
    .filter((edge) => edge.target === job.id && edge.name === name)
    .map((edge) => lineage.nodes.find((node) => node.id === edge.source))
    .filter((node) => node !== undefined);
  return (
    <>
      {sources.map((node) => (
        <p key={node.id} class="met">
          <span class="status good">
            <span class="shape" aria-hidden="true">
              ✓
            </span>
          </span>
          {node.name === null ? (
            <span class="quiet">a dataset that you may not see</span>
          ) : (
            <Link to={`/datasets/${node.id}`}>{node.name}</Link>
          )}
          {node.state !== "SEALED" && <span class="fine">{node.state}</span>}
        </p>
      ))}
      {(sources.length === 0 || !isClosed(job.status)) && (
        <Matched key={job.status} wanted={wanted} met={sources.length > 0} />
      )}
    </>
  );
}

/** What would meet a requirement now, and why; of one that is met only why. */
function Matched({ wanted, met }: { wanted: Wanted; met: boolean }) {
  const { category, format, domain, shape, derived } = wanted;
  const found = useFetched(category ? JSON.stringify(wanted) : null, () =>
    api.post("/api/v1/datasets:match", {
      body: {
        category: category ?? "OUTPUT",
        ...(format ? { format } : {}),
        ...(domain ? { domain } : {}),
        ...(shape ? { shape } : {}),
        ...(derived ? { derived: { by: derived.by, settings: derived.settings ?? {} } } : {}),
      },
    }),
  );
  if (found.error) return <Notice error={found.error} onRetry={found.again} />;
  const match = found.value;
  if (!match) return null;
  if (met) return <p class="fine met-why">{match.result === "fulfilled" && match.why}</p>;
  return (
    <>
      <p class={`met-why ${match.result === "missing" ? "missing" : ""}`}>
        <strong>{match.result}</strong> {match.why}
      </p>
      {match.result === "promised" && (
        <p class="met-why">
          by <Link to={`/jobs/${match.job}`}>job {match.job}</Link>, output {match.output}
        </p>
      )}
      {match.result === "missing" &&
        match.nearest.map((near) => (
          <p key={near.id} class="met-why fine">
            nearest: <Link to={`/datasets/${near.id}`}>{near.title}</Link> {near.why}
          </p>
        ))}
    </>
  );
}

export function Outputs({ job }: { job: Job }) {
  const names = Object.keys(job.spec?.outputs ?? {});
  return (
    <section class="panel" aria-labelledby="outputs">
      <h2 id="outputs">Data it makes</h2>
      {names.length === 0 && <p class="quiet">None.</p>}
      <ul class="needs">
        {names.map((name) => {
          const made = job.outputs[name];
          return (
            <li key={name}>
              <p>
                <strong>{name}</strong>{" "}
                <span class="fine">{job.spec?.outputs?.[name]?.format}</span>
              </p>
              {typeof made === "string" ? (
                <Made id={made} />
              ) : (
                <p class="quiet">{isClosed(job.status) ? "Not made." : "Not made yet."}</p>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Made({ id }: { id: string }) {
  const read = useFetched(id, (signal) =>
    api.get("/api/v1/datasets/{dataset}", { path: { dataset: id }, signal }),
  );
  const dataset = read.value;
  if (read.error) return <Notice error={read.error} onRetry={read.again} />;
  return (
    <p class="met">
      <span class="status good">
        <span class="shape" aria-hidden="true">
          ✓
        </span>
      </span>
      <Link to={`/datasets/${id}`}>{dataset?.title ?? id}</Link>
      {dataset && (
        <span class="fine num">
          {dataset.item_count} file{dataset.item_count !== 1 && "s"}, {bytes(dataset.size_bytes)}
          {dataset.partial && ", partial"}
        </span>
      )}
    </p>
  );
}
