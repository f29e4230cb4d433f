// Shows the OpenAPI document. Everything is put in as text, never as HTML, and the token lives in
// its field alone: it is kept nowhere and sent to this server only.

const MOST_SHOWN = 200_000; // characters of an answer
const token = document.getElementById("token");

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  const { class: classes, ...others } = properties;
  if (classes) element.className = classes;
  Object.assign(element, others);
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

// Text in which `backticks` mark code.
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

// ---- schemas

function resolve(api, schema) {
  const name = schema.$ref?.split("/").pop();
  return name ? [name, api.components.schemas[name]] : ["", schema];
}

// A schema in a few words: `UserRole`, `[string]`, `integer 1…100`.
function words(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(words).join(" | ");
  if (schema.prefixItems) return `[${schema.prefixItems.map(words).join(", ")}]`;
  if (schema.type === "array") return `[${words(schema.items ?? {})}]`;
  const kind = [schema.type ?? "anything"].flat().join(" | ");
  const { minimum = "", maximum = "" } = schema;
  const range = minimum === "" && maximum === "" ? "" : ` ${minimum}…${maximum}`;
  return kind + range + (schema.pattern ? ` matching ${schema.pattern}` : "");
}

// What can be looked into inside of a schema: objects with keys, by themselves or in lists, each
// once.
function objects(api, schema) {
  const [name, found] = resolve(api, schema);
  if (found.properties || typeof found.additionalProperties === "object") return [[name, found]];
  const inner = [...(found.anyOf ?? found.oneOf ?? []), ...(found.items ? [found.items] : [])];
  const all = inner.flatMap((each) => objects(api, each));
  return all.filter(([, each], i) => all.findIndex(([, other]) => other === each) === i);
}

function keys(api, schema) {
  const required = new Set(schema.required ?? []);
  const named = Object.entries(schema.properties ?? {});
  if (typeof schema.additionalProperties === "object") {
    named.push(["any name", schema.additionalProperties]);
  }
  const lines = named.map(([key, value]) =>
    make("li", {},
      make("code", {}, key), " ",
      make("span", { class: "quiet" }, words(value), required.has(key) ? ", required" : ""), " ",
      ...prose(value.description ?? ""),
      ...objects(api, value).map((each) => folded(api, ...each))));
  return make("ul", { class: "shape" }, ...lines);
}

// An object whose keys are put in once it is opened: a schema may hold itself.
function folded(api, name, schema) {
  const box = make("details", {}, make("summary", {}, name || "keys"));
  box.addEventListener("toggle", () => {
    if (box.open && box.children.length === 1) {
      box.append(make("div", {}, ...prose(schema.description ?? "")), keys(api, schema));
    }
  });
  return box;
}

function content(api, held) {
  return Object.entries(held ?? {}).flatMap(([media, { schema }]) => [
    make("div", {}, make("code", {}, media), " ",
      make("span", { class: "quiet" }, schema ? words(schema) : "")),
    ...(schema ? objects(api, schema).map((each) => folded(api, ...each)) : []),
  ]);
}

// ---- operations

function parameters(operation) {
  if (!operation.parameters.length) return [];
  const rows = operation.parameters.map((each) =>
    make("tr", {},
      make("th", { scope: "row" }, make("code", {}, each.name)),
      make("td", {}, each.in + (each.required ? ", required" : "")),
      make("td", {}, ...prose(each.description), " ",
        make("span", { class: "quiet" }, words(each.schema)))));
  return [make("h4", {}, "Parameters"), make("table", {}, ...rows)];
}

function answers(api, operation) {
  const rows = Object.entries(operation.responses).map(([status, answer]) =>
    make("tr", {},
      make("th", { scope: "row" }, status),
      make("td", {}, ...prose(answer.description),
        ...(status < "400" ? content(api, answer.content) : []),
        ...Object.entries(answer.headers ?? {}).map(([name, header]) =>
          make("div", {}, make("code", {}, name), " ", ...prose(header.description))))));
  const problem = folded(api, "What an error says", api.components.schemas.Problem);
  return [make("h4", {}, "Answers"), make("table", {}, ...rows), problem];
}

function body(api, operation) {
  const held = operation.requestBody?.content;
  return held ? [make("h4", {}, "Body"), ...content(api, held)] : [];
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function curl(method, path, operation) {
  const parts = ["curl"];
  if (method === "head") parts.push("--head");
  else if (method !== "get") parts.push("-X", method.toUpperCase());
  if (operation.security.length) parts.push('-H "Authorization: Bearer $HEADRACE_TOKEN"');
  const example = operation.requestBody?.content["application/json"]?.example;
  if (example) parts.push("-H 'Content-Type: application/json'", "-d", quoted(JSON.stringify(example)));
  parts.push(quoted(location.origin + path));
  return [make("h4", {}, "By hand"), make("pre", { tabIndex: 0 }, parts.join(" "))];
}

// ---- trying a GET

function field(id, parameter) {
  const { schema, name, required } = parameter;
  const input = schema.enum
    ? make("select", { id, name }, ...["", ...schema.enum].map((value) => make("option", {}, value)))
    : make("input", { id, name, placeholder: schema.default ?? "", autocomplete: "off" });
  input.required = required;
  return [make("label", { htmlFor: id }, name), input];
}

function address(path, operation, form) {
  const query = new URLSearchParams();
  const headers = {};
  for (const { name, in: where } of operation.parameters) {
    const value = form.elements.namedItem(name).value;
    if (where === "path") {
      // The path of a file keeps its slashes.
      path = path.replace(`{${name}}`, value.split("/").map(encodeURIComponent).join("/"));
    } else if (value && where === "query") query.set(name, value);
    else if (value) headers[name] = value;
  }
  return [query.size ? `${path}?${query}` : path, headers];
}

async function show(answer, shown) {
  const kind = answer.headers.get("Content-Type") ?? "";
  shown.textContent = `${answer.status} ${answer.statusText}\n${kind}\n\n`;
  if (kind.includes("octet-stream")) {
    await answer.body?.cancel();
    shown.append(`${answer.headers.get("Content-Length")} bytes, which are not shown`);
  } else if (kind.includes("json")) {
    shown.append(JSON.stringify(await answer.json(), null, 2).slice(0, MOST_SHOWN));
  } else if (answer.body) {
    const text = answer.body.pipeThrough(new TextDecoderStream());
    for await (const part of readAll(text)) {
      shown.append(part);
      if (shown.textContent.length > MOST_SHOWN) {
        shown.append("\n… and more, which is not shown");
        break;
      }
    }
  }
}

async function* readAll(stream) {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel();
  }
}

function trial(path, operation) {
  const shown = make("pre", { hidden: true, tabIndex: 0 });
  shown.setAttribute("aria-live", "polite");
  const button = make("button", {}, "Send");
  const fields = operation.parameters.flatMap((each) =>
    field(`${operation.operationId}-${each.name}`, each));
  const form = make("form", { class: "try" }, ...fields, make("div", {}, button));
  let running = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return running.abort();
    running = new AbortController();
    button.textContent = "Stop";
    shown.hidden = false;
    shown.textContent = "…";
    const [url, headers] = address(path, operation, form);
    if (token.value && operation.security.length) headers.Authorization = `Bearer ${token.value.trim()}`;
    try {
      const how = { headers, signal: running.signal, cache: "no-store", credentials: "omit", redirect: "error" };
      await show(await fetch(url, how), shown);
    } catch (error) {
      shown.append(running.signal.aborted ? "\nstopped" : `\nno answer: ${error.message}`);
    } finally {
      running = null;
      button.textContent = "Send";
    }
  });
  return [make("h4", {}, "Try it"), form, shown];
}

// ---- the page

function shownOperation(api, method, path, operation) {
  const box = make("details", { class: "operation", id: operation.operationId },
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("span", { class: "path" }, path),
      make("span", {}, operation.summary)));
  box.dataset.words = `${method} ${path} ${operation.summary}`.toLowerCase();
  box.addEventListener("toggle", () => {
    if (!box.open || box.children.length > 1) return;
    box.append(make("div", { class: "inside" },
      make("p", {}, ...prose(operation.description)),
      ...parameters(operation), ...body(api, operation), ...answers(api, operation),
      ...curl(method, path, operation),
      ...(method === "get" ? trial(path, operation) : [])));
  });
  return box;
}

function sections(api) {
  const all = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [method, path, operation]));
  return api.tags.map(({ name, description }) =>
    make("section", {},
      make("h2", {}, name, " ", make("small", {}, description)),
      ...all.filter(([, , operation]) => operation.tags.includes(name))
        .map((each) => shownOperation(api, ...each))));
}

function search(text) {
  const wanted = text.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("main section")) {
    const boxes = [...section.querySelectorAll(".operation")];
    for (const box of boxes) box.hidden = !wanted.every((word) => box.dataset.words.includes(word));
    section.hidden = boxes.every((box) => box.hidden);
  }
}

function openNamed() {
  const box = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (box?.matches(".operation")) {
    box.open = true;
    box.scrollIntoView();
  }
}

async function start() {
  const state = document.getElementById("state");
  try {
    const api = await (await fetch("/openapi.json", { credentials: "omit" })).json();
    document.getElementById("version").textContent = api.info.version;
    document.getElementById("about").append(...prose(api.info.description));
    document.getElementById("operations").append(...sections(api));
    state.hidden = true;
    openNamed();
  } catch (error) {
    state.textContent = `The OpenAPI document can't be shown: ${error.message}`;
  }
}

document.getElementById("settings").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
addEventListener("hashchange", openNamed);
start();
