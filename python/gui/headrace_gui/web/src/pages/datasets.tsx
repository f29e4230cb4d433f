// All datasets that the user may see; what is looked for stands in the address.
import { useEffect, useMemo, useState } from "preact/hooks";
import "./datasets.css";
import { useNow } from "../clock";
import { Icon } from "../components/icons";
import { useNarrow } from "../components/narrow";
import { Notice } from "../components/notice";
import { type Column, Table } from "../components/table";
import { AxisHead, axisOf, Coverage } from "../datasets/coverage";
import { brief, CATEGORIES, categoryWord, type Dataset, type Span } from "../datasets/domain";
import { askedSpan, type Filter, filterOf, STATES, useDatasets } from "../datasets/list";
import { StateMark } from "../datasets/mark";
import { Undelete } from "../datasets/undelete";
import { ago, bytes, count, dateTime } from "../format";
import { Link, setQuery, usePlace } from "../router";
import { session } from "../session";
import { useStore } from "../store";

const TYPING_MS = 250;
const STATE_WORDS = { "": "All", OPEN: "Open", SEALED: "Sealed", DELETED: "Deleted" } as const;

export default function DatasetsPage() {
  const filter = filterOf(usePlace().query);
  const list = useDatasets(filter);
  const { me } = useStore(session);
  const axis = useMemo(() => axisOf(list.rows, boundedSpan(filter)), [list.rows, filter]);
  const filtered = Object.values(filter).some(Boolean);
  const columns = useMemo(
    () => columnsOf(axis, filter.state === "DELETED", list.reload),
    [axis, filter.state, list.reload],
  );
  return (
    <div class="fills">
      <div class="spread">
        <h1>Datasets</h1>
        <div class="row">
          <Link class="button" to="/datasets/match">
            What would satisfy …?
          </Link>
          {me?.role !== "viewer" && (
            <Link class="button primary" to="/datasets/new">
              <Icon name="upload" />
              New dataset
            </Link>
          )}
        </div>
      </div>
      <Filters filter={filter} rows={list.rows} />
      {list.error && <Notice error={list.error} onRetry={list.reload} />}
      <Table
        label="Datasets"
        rows={list.rows}
        keyOf={(row) => row.id}
        columns={columns}
        card={(row) => <Card row={row} axis={axis} reload={list.reload} />}
        onEnd={list.loadMore}
        empty={<Empty loading={list.loading} filtered={filtered} />}
        foot={
          list.rows.length > 0 &&
          `${count(list.rows.length, "dataset")}${list.cursor ? " loaded; more below" : ""}`
        }
      />
    </div>
  );
}

/** Only a time with both ends says how long the axis is. */
function boundedSpan(filter: Filter): Span | null {
  return filter.from && filter.to ? askedSpan(filter) : null;
}

function Empty({ loading, filtered }: { loading: boolean; filtered: boolean }) {
  if (loading) return <p aria-busy="true">Loading …</p>;
  if (filtered) {
    return (
      <>
        <p>No dataset is like that.</p>
        <p>
          <Link to="/datasets">Show all datasets</Link>
        </p>
      </>
    );
  }
  return (
    <>
      <p>There are no datasets yet.</p>
      <p>
        <Link to="/datasets/new">Make the first one</Link> from files of yours.
      </p>
    </>
  );
}

/** A value that is typed: it goes into the address when the typing stops. */
function useTyped(name: string, value: string) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => setQuery({ [name]: typed.trim() }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, value]);
  return [typed, setTyped] as const;
}

function Filters({ filter, rows }: { filter: Filter; rows: readonly Dataset[] }) {
  const { me } = useStore(session);
  const mine = me?.name ?? "";
  const [q, setQ] = useTyped("q", filter.q);
  const [catchment, setCatchment] = useTyped("catchment", filter.catchment);
  const [format, setFormat] = useTyped("format", filter.format);
  const formats = [...new Set(rows.map((row) => row.format))].sort();
  const wrong = filter.from && filter.to && filter.from > filter.to;
  const narrow = useNarrow();
  const more = (
    <>
      <select
        aria-label="State"
        value={filter.state}
        onChange={(event) => setQuery({ state: event.currentTarget.value })}
      >
        {STATES.map((each) => (
          <option key={each} value={each}>
            {each ? STATE_WORDS[each] : "Any state"}
          </option>
        ))}
      </select>
      <select
        aria-label="Category"
        value={filter.category}
        onChange={(event) => setQuery({ category: event.currentTarget.value })}
      >
        <option value="">Any category</option>
        {CATEGORIES.map((each) => (
          <option key={each} value={each}>
            {categoryWord(each)}
          </option>
        ))}
      </select>
      <input
        type="search"
        class="datasets-format"
        aria-label="Format"
        placeholder="Any format"
        list="datasets-formats"
        value={format}
        onInput={(event) => setFormat(event.currentTarget.value.toUpperCase())}
      />
      <datalist id="datasets-formats">
        {formats.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <input
        type="search"
        class="datasets-catchment"
        aria-label="Catchment"
        placeholder="Catchment, as cat-27"
        value={catchment}
        onInput={(event) => setCatchment(event.currentTarget.value)}
      />
      <span class="datasets-days">
        <input
          type="date"
          aria-label="Data from (UTC)"
          aria-invalid={Boolean(wrong)}
          value={filter.from}
          onChange={(event) => setQuery({ from: event.currentTarget.value })}
        />
        <span aria-hidden="true">–</span>
        <input
          type="date"
          aria-label="Data to (UTC)"
          aria-invalid={Boolean(wrong)}
          value={filter.to}
          onChange={(event) => setQuery({ to: event.currentTarget.value })}
        />
      </span>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.owner === mine && mine !== ""}
          onChange={(event) => setQuery({ owner: event.currentTarget.checked ? mine : "" })}
        />
        Mine only
      </label>
    </>
  );
  return (
    <search class="datasets-filters">
      <div class="datasets-search">
        <Icon name="search" />
        <input
          type="search"
          aria-label="Part of a name, description or tag"
          placeholder="Part of a name, description or tag"
          value={q}
          onInput={(event) => setQ(event.currentTarget.value)}
        />
      </div>
      {narrow ? (
        <details
          class="datasets-more"
          open={Object.entries(filter).some(([key, value]) => key !== "q" && value)}
        >
          <summary>Category, format, catchment, days …</summary>
          <div class="datasets-filters">{more}</div>
        </details>
      ) : (
        more
      )}
      {wrong && <p class="fine">The first day lies after the last one: time is not looked at.</p>}
    </search>
  );
}

interface CardProps {
  row: Dataset;
  axis: Span | null;
  reload: () => void;
}

function Card({ row, axis, reload }: CardProps) {
  return (
    <div class="datasets-card">
      <Name row={row} />
      <StateMark dataset={row} />
      <span class="fine datasets-under">
        {categoryWord(row.category)} · {row.format} · {bytes(row.size_bytes)}
      </span>
      {row.state === "DELETED" ? (
        <Undelete dataset={row} onDone={reload} />
      ) : (
        <Coverage row={row} axis={axis} />
      )}
    </div>
  );
}

function Name({ row }: { row: Dataset }) {
  return (
    <span class="datasets-name">
      {row.state === "DELETED" ? row.name : <Link to={`/datasets/${row.id}`}>{row.name}</Link>}
      {row.version > 1 && <span class="fine"> @{row.version}</span>}
    </span>
  );
}

function Made({ row }: { row: Dataset }) {
  return (
    <time dateTime={row.created} title={`${dateTime(row.created)} (${row.created})`}>
      {ago(row.created, useNow())}
    </time>
  );
}

function columnsOf(
  axis: Span | null,
  deleted: boolean,
  reload: () => void,
): readonly Column<Dataset>[] {
  const column = (
    key: string,
    head: Column<Dataset>["head"],
    width: string,
    cell: Column<Dataset>["cell"],
    end = false,
  ): Column<Dataset> => ({ key, head, width, cell, end });
  const last = deleted
    ? column("back", "", "15rem", (row) => <Undelete dataset={row} onDone={reload} />, true)
    : column("made", "Made", "5.5rem", (row) => <Made row={row} />, true);
  return [
    column("state", "State", "5.5rem", (row) => <StateMark dataset={row} />),
    column("name", "Name", "minmax(9rem, 4fr)", (row) => <Name row={row} />),
    column("what", "What", "minmax(8rem, 3fr)", (row) => (
      <span title={`${categoryWord(row.category)}, ${row.format}`}>
        {categoryWord(row.category)} <span class="fine">{row.format}</span>
      </span>
    )),
    column("coverage", <AxisHead axis={axis} />, "minmax(11rem, 4fr)", (row) => (
      <Coverage row={row} axis={axis} />
    )),
    column("covers", "Covers", "minmax(5rem, 3fr)", (row) => (
      <span title={brief(row.domain)}>{brief(row.domain)}</span>
    )),
    column("owner", "Owner", "minmax(3rem, 1fr)", (row) => row.owner),
    column("size", "Size", "4.5rem", (row) => bytes(row.size_bytes), true),
    last,
  ];
}
