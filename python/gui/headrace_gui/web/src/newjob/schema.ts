// The JSON Schema of the job file, read as a form needs it.

export interface Schema {
  type?: string | string[];
  anyOf?: Schema[];
  enum?: (string | number)[];
  description?: string;
  examples?: unknown[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  required?: string[];
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  allOf?: {
    if: { properties: { kind: { enum: string[] } } };
    then: { properties: { settings: Schema } };
  }[];
}

/** How a value is typed in. `yaml`: as a piece of YAML, where there is no better way. */
export type Control = "choice" | "flag" | "line" | "pair" | "lines" | "several" | "group" | "yaml";

/** What it is besides null, with the description of the whole. */
export function unwrapped(schema: Schema): Schema {
  const some = schema.anyOf?.filter((each) => each.type !== "null");
  if (!some) return schema;
  const [first] = some;
  if (some.length !== 1 || !first) return { ...schema, anyOf: some };
  return { ...unwrapped(first), ...(schema.description && { description: schema.description }) };
}

export function controlOf(schema: Schema): Control {
  const { type, items } = schema;
  if (schema.enum) return "choice";
  if (schema.anyOf) return schema.anyOf.every(isScalar) ? "line" : "yaml";
  if (type === "boolean") return "flag";
  if (type === "array" && items) {
    const one = unwrapped(items);
    if (one.enum) return "several";
    if (!isScalar(one)) return "yaml";
    return schema.minItems === 2 && schema.maxItems === 2 ? "pair" : "lines";
  }
  if (type === "object") return schema.properties ? "group" : "yaml";
  return "line";
}

function isScalar(schema: Schema): boolean {
  if (schema.anyOf) return schema.anyOf.every(isScalar);
  const types = [schema.type ?? "string"].flat();
  return types.every((type) => ["string", "number", "integer"].includes(type));
}

/** Whether a number that is typed in is one, rather than text that looks like it. */
export function takesNumber(schema: Schema): boolean {
  if (schema.enum) return schema.enum.some((each) => typeof each === "number");
  if (schema.anyOf) return schema.anyOf.some(takesNumber);
  return [schema.type].flat().some((type) => type === "number" || type === "integer");
}

export function kindsOf(schema: Schema): string[] {
  const more = schema.allOf?.flatMap((each) => each.if.properties.kind.enum.slice(0, 1)) ?? [];
  return ["command", ...more];
}

/** Of a kind: the schema of its settings; null for `command`, which has none. */
export function settingsOf(schema: Schema, kind: string): Schema | null {
  const found = schema.allOf?.find((each) => each.if.properties.kind.enum.includes(kind));
  return found?.then.properties.settings ?? null;
}

export function exampleOf(schema: Schema): string | undefined {
  const example =
    schema.examples?.[0] ?? schema.anyOf?.find((each) => each.examples)?.examples?.[0];
  if (example === undefined) return undefined;
  return String(example).replace(/^'(.*)'$/, "$1");
}

/** `warm_up_days` as people read it; an id in capitals stays. */
export function labelOf(key: string): string {
  if (key === key.toUpperCase()) return key;
  const words = key
    .replaceAll("_", " ")
    .replace(/^([cg])pus$/, (found) => `${found.slice(0, 3).toUpperCase()}s`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}
