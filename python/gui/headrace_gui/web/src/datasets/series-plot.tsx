// Columns of a table over time; one at a time, since their units differ.
import { type ComponentType, createElement } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { PlotProps } from "../components/plot";
import type { Series } from "./delimited";

export function SeriesPlot({ series, name }: { series: Series; name: string }) {
  const [Plot, setPlot] = useState<ComponentType<PlotProps> | null>(null);
  const [chosen, setChosen] = useState(0);
  useEffect(() => {
    void import("../components/plot").then((loaded) => setPlot(() => loaded.Plot));
  }, []);
  const at = Math.min(chosen, series.columns.length - 1);
  const column = series.columns[at];
  const data = useMemo(
    () => [series.times, column?.values ?? []] as [number[], (number | null)[]],
    [series, column],
  );
  if (!column) return null;
  return (
    <div>
      {series.columns.length > 1 && (
        <label class="dataset-plot fine">
          Plot
          <select
            value={String(at)}
            onChange={(event) => setChosen(Number(event.currentTarget.value))}
          >
            {series.columns.map((each, number) => (
              <option key={each.name} value={String(number)}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
      )}
      <div style={{ minHeight: "240px" }}>
        {Plot &&
          createElement(Plot, {
            label: `${column.name} of ${name} over time`,
            data,
            lines: [{ label: column.name }],
            height: 200,
            utc: true,
          })}
      </div>
    </div>
  );
}
