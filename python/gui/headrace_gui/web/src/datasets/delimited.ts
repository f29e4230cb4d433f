// Tables in text files: rows and columns, and the series in them.

export interface Rows {
  head: string[];
  rows: string[][];
}

/** `cut`: the text ends somewhere in a line, which is left out. */
export function rowsOf(content: string, cut: boolean, most: number): Rows {
  const lines = content.split(/\r?\n/);
  if (cut) lines.pop();
  const told = lines.filter((line) => line.trim() !== "");
  const by = separatorOf(told[0] ?? "");
  const cells = told.slice(0, most + 1).map((line) => cellsOf(line, by));
  const named = cells.length > 1 && !(cells[0] ?? []).some((cell) => isNumber(cell));
  const width = Math.max(0, ...cells.map((row) => row.length));
  const head = named
    ? (cells[0] ?? [])
    : Array.from({ length: width }, (_, at) => `column ${at + 1}`);
  return { head, rows: named ? cells.slice(1) : cells.slice(0, most) };
}

function separatorOf(line: string): string {
  return [",", ";", "\t"].find((each) => line.includes(each)) ?? ",";
}

function cellsOf(line: string, by: string): string[] {
  if (!line.includes('"')) return line.split(by).map((cell) => cell.trim());
  const cells: string[] = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const each = line[at];
    if (each === '"') {
      if (quoted && line[at + 1] === '"') {
        cell += each;
        at += 1;
      } else quoted = !quoted;
    } else if (each === by && !quoted) {
      cells.push(cell.trim());
      cell = "";
    } else cell += each;
  }
  return [...cells, cell.trim()];
}

function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell));
}

/** Seconds since 1970 of a stamp in UTC; NaN for what is none. */
export function stampOf(cell: string): number {
  const found =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/.exec(
      cell.replace(/ (UTC|Z)$/, "Z"),
    );
  if (!found) return Number.NaN;
  return Date.parse(`${found[1]}T${found[2] ?? "00:00"}${found[3] ?? "Z"}`) / 1000;
}

export interface Series {
  /** Seconds since 1970, rising. */
  times: number[];
  columns: { name: string; values: (number | null)[] }[];
}

/** The columns of numbers over the column of times; null where there is none. */
export function seriesOf({ head, rows }: Rows): Series | null {
  const sample = rows.slice(0, 20);
  if (sample.length < 2) return null;
  const at = head.findIndex((_, column) =>
    sample.every((row) => Number.isFinite(stampOf(row[column] ?? ""))),
  );
  if (at < 0) return null;
  const told = rows
    .map((row) => [stampOf(row[at] ?? ""), row] as const)
    .filter(([time]) => Number.isFinite(time))
    .sort(([one], [other]) => one - other);
  const columns = head
    .map((name, column) => ({ name: name || `column ${column + 1}`, column }))
    .filter(
      ({ column }) =>
        column !== at &&
        sample.some((row) => isNumber(row[column] ?? "")) &&
        sample.every((row) => isMissing(row[column]) || isNumber(row[column] ?? "")),
    )
    .map(({ name, column }) => ({
      name,
      values: told.map(([, row]) => (isNumber(row[column] ?? "") ? Number(row[column]) : null)),
    }));
  return columns.length ? { times: told.map(([time]) => time), columns } : null;
}

function isMissing(cell: string | undefined): boolean {
  return cell === undefined || /^(|nan|na|null|-)$/i.test(cell);
}
