// The API of Headrace, typed by its OpenAPI document: a changed shape fails the build.
import type { components, paths } from "./generated/api";
import { expire } from "./session";

export type Schemas = components["schemas"];
type Method = "get" | "post" | "put" | "patch" | "delete";
type PathsWith<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never;
}[keyof paths];
type Operation<P extends keyof paths, M extends Method> = Exclude<paths[P][M], undefined>;
type Json<T> = T extends { content: { "application/json": infer J } } ? J : never;
/** What a call answers when it goes well; undefined for one without content. */
export type Answer<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { responses: infer R }
    ? { [S in keyof R]: S extends 200 | 201 | 202 ? Json<R[S]> : never }[keyof R] extends infer A
      ? [A] extends [never]
        ? undefined
        : A
      : never
    : never;
export type Body<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: infer B } ? Json<Exclude<B, undefined>> : never;
export type Query<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { query?: infer Q } } ? Exclude<Q, undefined> : never;

interface Asked<P extends keyof paths, M extends Method> {
  /** Values for the `{names}` of the path. */
  path?: Record<string, string>;
  query?: Query<P, M>;
  body?: Body<P, M>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** An error as the API tells it: what and why (`detail`), what to do next (`hint`). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly hint: string | null = null,
    readonly requestId: string | null = null,
  ) {
    super(detail);
  }
}

export const api = {
  get: <P extends PathsWith<"get">>(path: P, asked: Asked<P, "get"> = {}) =>
    call(path, "get", asked) as Promise<Answer<P, "get">>,
  post: <P extends PathsWith<"post">>(path: P, asked: Asked<P, "post"> = {}) =>
    call(path, "post", asked) as Promise<Answer<P, "post">>,
  put: <P extends PathsWith<"put">>(path: P, asked: Asked<P, "put"> = {}) =>
    call(path, "put", asked) as Promise<Answer<P, "put">>,
  patch: <P extends PathsWith<"patch">>(path: P, asked: Asked<P, "patch"> = {}) =>
    call(path, "patch", asked) as Promise<Answer<P, "patch">>,
  delete: <P extends PathsWith<"delete">>(path: P, asked: Asked<P, "delete"> = {}) =>
    call(path, "delete", asked) as Promise<Answer<P, "delete">>,
};

/** The address of a call, for a link (a download) or for `send`. */
export function addressOf<P extends keyof paths>(
  path: P,
  params: Record<string, string> = {},
  query: object = {},
): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name] ?? "";
    // The path of an item has slashes of its own.
    return name === "path"
      ? value.split("/").map(encodeURIComponent).join("/")
      : encodeURIComponent(value);
  });
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") text.set(name, String(value));
  }
  return text.size ? `${filled}?${text}` : filled;
}

async function call(path: keyof paths, method: Method, asked: Asked<never, never>) {
  const init: RequestInit = { method: method.toUpperCase(), headers: { ...asked.headers } };
  if (asked.signal) init.signal = asked.signal;
  if (asked.body !== undefined) {
    init.body = JSON.stringify(asked.body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  const answer = await send(addressOf(path, asked.path, asked.query ?? {}), init);
  return answer.status === 204 ? undefined : answer.json();
}

/**
 * A request to this GUI's server, for what is no JSON (texts, bytes). Throws `ApiError` for an
 * answer of 400 or above; one of 401 also brings the dialog to sign in again.
 */
export async function send(address: string, init: RequestInit = {}): Promise<Response> {
  const answer = await raw(address, init);
  if (answer.ok) return answer;
  const error = await errorOf(answer);
  if (answer.status === 401) expire();
  throw error;
}

/** As `send`, but a 401 is an answer like others: for /session. */
export async function raw(address: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("X-Headrace-GUI", "1");
  try {
    return await fetch(address, { ...init, headers, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(
      0,
      "UNREACHABLE",
      "The server of this page does not answer.",
      "Nothing you typed is lost. Try again in a moment; if it stays so, is the network up?",
    );
  }
}

export async function errorOf(answer: Response): Promise<ApiError> {
  let said: Partial<Schemas["Problem"]> = {};
  try {
    said = await answer.json();
  } catch {
    // Not one of ours: something between us and the server answered.
  }
  return new ApiError(
    answer.status,
    said.code ?? "ERROR",
    said.detail ?? `The server answered ${answer.status}.`,
    said.hint ?? null,
    said.request_id ?? answer.headers.get("X-Request-ID"),
  );
}

/** Any thrown thing as an `ApiError`, to be shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, "BUG", String(error), "Load the page again; if it comes back, tell us.");
}
