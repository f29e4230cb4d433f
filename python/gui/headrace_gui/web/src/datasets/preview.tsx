// A file looked at: a table and a plot, or a text; or why it can't be shown here.
import { useMemo, useState } from "preact/hooks";
import { addressOf, type Schemas, send } from "../api";
import { Icon } from "../components/icons";
import { ShapeMap } from "../components/map";
import { Notice } from "../components/notice";
import { useFetched } from "../fetched";
import { bytes, count } from "../format";
import { setQuery } from "../router";
import { type Rows, rowsOf, seriesOf } from "./delimited";
import type { Dataset } from "./domain";
import { SeriesPlot } from "./series-plot";
import { layersOf } from "./shapes";

type Item = Schemas["ItemView"];

const TABLE = /\.(csv|tsv)$/i;
const TEXT =
  /\.(json|geojson|ya?ml|txt|md|rst|ini|cfg|config|toml|log|input|tbl|namelist|nml|xml|html|py|sh|lock)$|(^|\/)[^.]+$/i;
const MAPPED_BYTES = 16 * 2 ** 20;
const LOOKED_BYTES = 2 ** 18;
const PLOTTED_BYTES = 8 * 2 ** 20;
const SHOWN_ROWS = 200;

export function Preview({ dataset, item }: { dataset: Dataset; item: Item }) {
  return (
    <aside class="dataset-preview" aria-labelledby="preview">
      <div class="spread">
        <h3 id="preview">{item.path}</h3>
        <button
          type="button"
          class="button icon"
          aria-label="Close the preview"
          onClick={() => setQuery({ item: "" })}
        >
          <Icon name="close" />
        </button>
      </div>
      <p class="fine">
        {bytes(item.size_bytes)} · SHA-256 <span class="mono">{item.sha256.slice(0, 16)}…</span>
      </p>
      <Content {...{ dataset, item }} />
    </aside>
  );
}

function Content({ dataset, item }: { dataset: Dataset; item: Item }) {
  const { path } = item;
  if (!item.size_bytes) return <p class="quiet">It is empty.</p>;
  if (TABLE.test(path)) return <Table {...{ dataset, item }} />;
  if (TEXT.test(path)) return <Text {...{ dataset, item }} />;
  return <p class="quiet">{whyNot(path)}</p>;
}

function whyNot(path: string): string {
  if (/\.(nc|nc4|cdf|h5|hdf5?)$/i.test(path)) {
    return "NetCDF and HDF5 can't be read in the browser. What Headrace read from it (times, catchments, gauges) stands under What it covers; download it to see its variables.";
  }
  if (/\.gpkg$/i.test(path)) {
    return "A GeoPackage can't be read in the browser. Its catchments stand under What it covers; asked for as NGEN_GEOJSON_HYDROFABRIC it is made GeoJSON.";
  }
  if (/\.parquet$/i.test(path)) return "Parquet can't be read in the browser. Download it.";
  if (/\.(tar|gz|tgz|zip|bz2|xz|zst)$/i.test(path)) {
    return "An archive is not opened here. Download it.";
  }
  return "This kind of file can't be shown here. Download it.";
}

interface Looked {
  content: string;
  cut: boolean;
}

/** The first bytes of a file, as text. */
function useText(dataset: Dataset, item: Item, most: number) {
  return useFetched(`${dataset.id} ${item.sha256} ${item.path} ${most}`, async (signal) => {
    const address = addressOf("/api/v1/datasets/{dataset}/items/{path}", {
      dataset: dataset.id,
      path: item.path,
    });
    const headers = { Range: `bytes=0-${most - 1}` };
    const answer = await send(address, { headers, signal });
    return { content: await answer.text(), cut: item.size_bytes > most } satisfies Looked;
  });
}

/** A text; above it a map, where it is GeoJSON. */
function Text({ dataset, item }: { dataset: Dataset; item: Item }) {
  const read = useText(dataset, item, LOOKED_BYTES);
  const mapped =
    /json$/i.test(item.path) &&
    item.size_bytes <= MAPPED_BYTES &&
    Boolean(read.value?.content.includes("FeatureCollection"));
  const shown = useMemo(() => (read.value ? indented(item.path, read.value) : ""), [read.value]);
  if (read.error) return <Notice error={read.error} onRetry={read.again} />;
  if (!read.value) return <div class="loading" aria-busy="true" />;
  if (shown.includes("\0")) return <p class="quiet">{whyNot("")}</p>;
  return (
    <>
      {mapped && <Shapes {...{ dataset, item }} />}
      <pre class="dataset-text" tabIndex={0} role="region" aria-label={item.path}>
        {shown}
      </pre>
      {read.value.cut && <p class="fine">These are the first {bytes(LOOKED_BYTES)}.</p>}
    </>
  );
}

function Shapes({ dataset, item }: { dataset: Dataset; item: Item }) {
  const read = useText(dataset, item, MAPPED_BYTES);
  const layers = useMemo(
    () => (read.value ? layersOf(item.path, read.value.content) : null),
    [read.value],
  );
  if (read.error) return <Notice error={read.error} onRetry={read.again} />;
  if (read.value && !layers) return null;
  return (
    <div style={{ minHeight: "22rem" }}>
      {layers && <ShapeMap label={`Shapes of ${item.path}`} layers={layers} height={300} />}
    </div>
  );
}

/** JSON on one line is read badly. */
function indented(path: string, { content, cut }: Looked): string {
  if (cut || !/json$/i.test(path) || content.trim().includes("\n")) return content;
  try {
    return JSON.stringify(JSON.parse(content), null, 2);
  } catch {
    return content;
  }
}

function Table({ dataset, item }: { dataset: Dataset; item: Item }) {
  const read = useText(dataset, item, PLOTTED_BYTES);
  const [all, setAll] = useState(false);
  const rows = useMemo(
    () => (read.value ? rowsOf(read.value.content, read.value.cut, 1_000_000) : null),
    [read.value],
  );
  const series = useMemo(() => (rows ? seriesOf(rows) : null), [rows]);
  if (read.error) return <Notice error={read.error} onRetry={read.again} />;
  if (!rows || !read.value) return <div class="loading" aria-busy="true" />;
  const shown: Rows = { head: rows.head, rows: rows.rows.slice(0, all ? 2000 : SHOWN_ROWS) };
  const number = count(rows.rows.length, "row");
  return (
    <>
      {series && <SeriesPlot series={series} name={item.path} />}
      <div class="dataset-rows" tabIndex={0} role="region" aria-label={`Rows of ${item.path}`}>
        <table>
          <thead>
            <tr>
              {shown.head.map((name, at) => (
                <th key={`${at}${name}`} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.rows.map((row, at) => (
              <tr key={`${at}${row[0]}`}>
                {row.map((cell, column) => (
                  <td key={`${column}${cell}`}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="fine row">
        {read.value.cut ? `The first ${bytes(PLOTTED_BYTES)} have ${number}` : `${number} in all`}
        {shown.rows.length < rows.rows.length && `, of which ${shown.rows.length} are shown`}.
        {!all && shown.rows.length < rows.rows.length && (
          <button type="button" class="button" onClick={() => setAll(true)}>
            Show more
          </button>
        )}
      </p>
    </>
  );
}
