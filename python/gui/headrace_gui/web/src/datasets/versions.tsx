// All versions of a dataset's name.
import { api } from "../api";
import { Notice } from "../components/notice";
import { useFetched } from "../fetched";
import { bytes, dateTime } from "../format";
import { Link } from "../router";
import type { Dataset } from "./domain";
import { StateMark } from "./mark";

export function Versions({ dataset }: { dataset: Dataset }) {
  const read = useFetched(`${dataset.name} ${dataset.id} ${dataset.state}`, (signal) =>
    api.get("/api/v1/datasets/{dataset}/versions", { path: { dataset: dataset.name }, signal }),
  );
  return (
    <section class="panel" aria-labelledby="versions">
      <h2 id="versions">Versions</h2>
      {read.error && <Notice error={read.error} onRetry={read.again} />}
      <ul class="dataset-shares">
        {(read.value?.datasets ?? []).map((each) => (
          <li key={each.id} class="spread">
            <span>
              {each.id === dataset.id ? (
                <strong aria-current="true">{each.title}</strong>
              ) : (
                <Link to={`/datasets/${each.id}`}>{each.title}</Link>
              )}{" "}
              <span class="fine" title={each.created}>
                {dateTime(each.created)} · {bytes(each.size_bytes)}
              </span>
            </span>
            <StateMark dataset={each} />
          </li>
        ))}
      </ul>
    </section>
  );
}
