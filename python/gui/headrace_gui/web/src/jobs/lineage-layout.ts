// Places for the nodes of a lineage: columns from what came first, few crossings, curved ways.
import type { Schemas } from "../api";

export type Node = Schemas["LineageNode"];
type Edge = Schemas["LineageEdge"];

export const BOX = { width: 220, height: 46 };
const GAP = { x: 90, y: 18 };
const EDGE = 8;
const SWEEPS = 4;

export interface Laid {
  width: number;
  height: number;
  places: { node: Node; x: number; y: number }[];
  ways: { edge: Edge; path: string; middle: { x: number; y: number } }[];
}

export function laidOut({
  nodes,
  edges,
}: {
  nodes: readonly Node[];
  edges: readonly Edge[];
}): Laid {
  const columns = ordered(columnsOf(nodes, edges), edges);
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const height = rows * (BOX.height + GAP.y) - GAP.y + 2 * EDGE;
  const at = new Map<string, { x: number; y: number }>();
  const places = columns.flatMap((column, level) => {
    const above = ((rows - column.length) * (BOX.height + GAP.y)) / 2;
    return column.map((node, row) => {
      const x = EDGE + level * (BOX.width + GAP.x);
      const y = EDGE + above + row * (BOX.height + GAP.y);
      at.set(node.id, { x, y });
      return { node, x, y };
    });
  });
  const ways = edges.flatMap((edge) => {
    const [from, to] = [at.get(edge.source), at.get(edge.target)];
    if (!from || !to) return [];
    const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
    const [x2, y2] = [to.x - 2, to.y + BOX.height / 2];
    const bend = Math.max(30, (x2 - x1) / 2);
    const path = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    return [{ edge, path, middle: { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 5 } }];
  });
  const width = columns.length * (BOX.width + GAP.x) - GAP.x + 2 * EDGE;
  return { width: Math.max(width, BOX.width), height, places, ways };
}

/** Each node is in a column behind all that it came from. */
function columnsOf(nodes: readonly Node[], edges: readonly Edge[]): Node[][] {
  const level = new Map(nodes.map((node) => [node.id, 0]));
  // A lineage has no circles; the bound is for an answer that is wrong.
  for (let round = 0, moved = true; moved && round < nodes.length; round++) {
    moved = false;
    for (const { source, target } of edges) {
      const least = (level.get(source) ?? 0) + 1;
      if (level.has(target) && (level.get(target) ?? 0) < least) {
        level.set(target, least);
        moved = true;
      }
    }
  }
  const columns: Node[][] = [];
  for (const node of nodes) {
    const at = level.get(node.id) ?? 0;
    while (columns.length <= at) columns.push([]);
    columns[at]?.push(node);
  }
  return columns.filter((column) => column.length > 0);
}

/** Each column in the order of the mean place of its neighbours, forth and back a few times. */
function ordered(columns: Node[][], edges: readonly Edge[]): Node[][] {
  const near = new Map<string, string[]>();
  for (const { source, target } of edges) {
    near.set(source, [...(near.get(source) ?? []), target]);
    near.set(target, [...(near.get(target) ?? []), source]);
  }
  const row = new Map<string, number>();
  const number = (column: readonly Node[]) => {
    for (const [at, node] of column.entries()) row.set(node.id, at / Math.max(1, column.length));
  };
  columns.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const mean = (node: Node) => {
        const all = near.get(node.id) ?? [];
        return all.reduce((sum, id) => sum + (row.get(id) ?? 0), 0) / Math.max(1, all.length);
      };
      const means = new Map(column.map((node) => [node.id, mean(node)]));
      column.sort((one, other) => (means.get(one.id) ?? 0) - (means.get(other.id) ?? 0));
      number(column);
    }
  }
  return columns;
}
