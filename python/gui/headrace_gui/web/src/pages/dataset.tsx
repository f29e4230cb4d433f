// One dataset: what it covers, its files, where it comes from, who may use it.
import { useEffect, useState } from "preact/hooks";
import "./dataset.css";
import { api } from "../api";
import { Notice } from "../components/notice";
import { Access } from "../datasets/access";
import { Actions } from "../datasets/actions";
import { Covers } from "../datasets/covers";
import { categoryWord, type Dataset } from "../datasets/domain";
import { Drop } from "../datasets/drop";
import { Items } from "../datasets/items";
import { Lineage } from "../datasets/lineage";
import { StateMark } from "../datasets/mark";
import { type May, mayDo } from "../datasets/may";
import { withoutTop } from "../datasets/picked";
import { upload, uploads } from "../datasets/upload";
import { UploadPanel } from "../datasets/uploads";
import { Versions } from "../datasets/versions";
import { useFetched } from "../fetched";
import { bytes, count, dateTime } from "../format";
import { Link } from "../router";
import type { PageProps } from "../routes";
import { session } from "../session";
import { useStore } from "../store";

export default function DatasetPage({ params }: PageProps) {
  const id = params.dataset ?? "";
  const read = useFetched(id, (signal) =>
    api.get("/api/v1/datasets/{dataset}", { path: { dataset: id }, signal }),
  );
  const { me } = useStore(session);
  const [changed, setChanged] = useState<Dataset | null>(null);
  useEffect(() => setChanged(null), [read.value]);
  const dataset = changed ?? read.value;
  const sending = useStore(uploads).get(dataset?.id ?? "");
  const round = sending
    ? `${sending.phase}${sending.phase === "over" ? sending.beganAt : ""}`
    : "";
  useEffect(() => {
    if (round.startsWith("over")) read.again();
  }, [round]);
  useEffect(() => {
    if (dataset) document.title = `${dataset.title} · Headrace`;
  }, [dataset?.title]);
  if (!dataset) {
    if (read.error) return <Notice error={read.error} onRetry={read.again} />;
    return <div class="loading" aria-busy="true" />;
  }
  const may = mayDo(me, dataset);
  const takesFiles = dataset.state === "OPEN" && may.write && sending?.phase !== "sealing";
  const items = `${dataset.id} ${dataset.item_count} ${dataset.size_bytes} ${round}`;
  return (
    <>
      <Head dataset={dataset} may={may} onChange={setChanged} onRead={read.again} />
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      <UploadPanel dataset={dataset.id} />
      {takesFiles && (
        <Drop onFiles={(picked) => upload(dataset.id, withoutTop(picked).files, false)}>
          Drop files or folders here to add them, or choose them.
        </Drop>
      )}
      <div class="dataset-two">
        <Covers dataset={dataset} />
        <Facts dataset={dataset} />
      </div>
      <Items dataset={dataset} may={may} state={items} onChange={read.again} />
      <div class="dataset-two">
        <Lineage dataset={dataset} />
        <div class="dataset-stack">
          <Access dataset={dataset} may={may} onChange={setChanged} />
          <Versions dataset={dataset} />
        </div>
      </div>
    </>
  );
}

interface HeadProps {
  dataset: Dataset;
  may: May;
  onChange: (dataset: Dataset) => void;
  onRead: () => void;
}

function Head({ dataset, may, onChange, onRead }: HeadProps) {
  return (
    <div class="dataset-head">
      <p class="fine">
        <Link to="/datasets">Datasets</Link> / <span class="mono">{dataset.id}</span>
      </p>
      <div class="spread">
        <div class="row">
          <h1>{dataset.name}</h1>
          {dataset.version > 1 && <span class="quiet">version {dataset.version}</span>}
          <StateMark dataset={dataset} />
        </div>
        <Actions dataset={dataset} may={may} onChange={onChange} onRead={onRead} />
      </div>
      {dataset.description && <p class="dataset-description">{dataset.description}</p>}
      {dataset.tags.length > 0 && (
        <p class="row">
          {dataset.tags.map((tag) => (
            <Link key={tag} class="dataset-tag" to={`/datasets?q=${encodeURIComponent(tag)}`}>
              {tag}
            </Link>
          ))}
        </p>
      )}
      {dataset.partial && (
        <div class="notice">
          <p>
            This is what a failed attempt had written when it ended. It is no result, and no job
            finds it.
          </p>
        </div>
      )}
    </div>
  );
}

function At({ iso }: { iso: string }) {
  return (
    <time dateTime={iso} title={iso}>
      {dateTime(iso)}
    </time>
  );
}

function Facts({ dataset }: { dataset: Dataset }) {
  const facts: [string, preact.ComponentChildren][] = [
    ["Category", categoryWord(dataset.category)],
    ["Format", <span class="mono">{dataset.format}</span>],
    ["Holds", `${count(dataset.item_count, "file")}, ${bytes(dataset.size_bytes)}`],
    ["Owner", dataset.owner],
    ["Made", <At iso={dataset.created} />],
  ];
  if (dataset.sealed) facts.push(["Sealed", <At iso={dataset.sealed} />]);
  facts.push(["Expires", dataset.expires ? <At iso={dataset.expires} /> : "never"]);
  if (dataset.origin) {
    const { job, attempt } = dataset.origin;
    facts.push([
      "Made by",
      <>
        <Link to={`/jobs/${job}`}>job {job}</Link>, attempt {attempt}
        {dataset.output && ` (output ${dataset.output})`}
      </>,
    ]);
  }
  return (
    <section class="panel" aria-labelledby="facts">
      <h2 id="facts">The dataset</h2>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}
