// The files of a dataset as a tree, a page of the API after another, and one of them looked at.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useAction } from "../action";
import { type ApiError, addressOf, api, asApiError, type Schemas } from "../api";
import { Icon } from "../components/icons";
import { Notice } from "../components/notice";
import { bytes, count } from "../format";
import { setQuery, usePlace } from "../router";
import type { Dataset } from "./domain";
import type { May } from "./may";
import { Preview } from "./preview";
import { type Folder, treeOf } from "./tree";

export type Item = Schemas["ItemView"];

const PAGE = 1000;
const AT_ONCE = 200;

interface ItemsProps {
  dataset: Dataset;
  may: May;
  /** Another one: the files may be others. */
  state: string;
  onChange: () => void;
}

export function Items({ dataset, may, state, onChange }: ItemsProps) {
  const list = useItems(dataset.id, state);
  const tree = useMemo(() => treeOf(list.items), [list.items]);
  const path = usePlace().query.get("item") ?? "";
  const looked = list.items.find((item) => item.path === path);
  const file = (item: Item, name: string) => (
    <File
      {...{ dataset, item, name, onChange }}
      looked={item.path === path}
      mayRemove={dataset.state === "OPEN" && may.write}
    />
  );
  const told = list.more ? `the first ${count(list.items.length, "file")}` : "";
  return (
    <section class="panel" aria-labelledby="items">
      <h2 id="items">Files</h2>
      {list.error && <Notice error={list.error} onRetry={list.load} />}
      {list.loaded && !list.items.length && <p class="quiet">It has no files yet.</p>}
      <div class={`dataset-items ${looked ? "" : "alone"}`}>
        <div>
          <div class="dataset-tree" tabIndex={0} role="region" aria-label="Files">
            <Branch folder={tree} file={file} />
          </div>
          {list.more && (
            <p class="fine row">
              These are {told} of {dataset.item_count.toLocaleString()}.
              <button type="button" class="button" onClick={list.load}>
                Load more
              </button>
            </p>
          )}
        </div>
        {looked && <Preview dataset={dataset} item={looked} />}
      </div>
    </section>
  );
}

function Branch({
  folder,
  file,
}: {
  folder: Folder<Item>;
  file: (item: Item, name: string) => ComponentChildren;
}) {
  const [shown, setShown] = useState(AT_ONCE);
  const files = folder.files.slice(0, shown);
  return (
    <ul>
      {folder.folders.map(([name, below]) => (
        <li key={name}>
          <Twig {...{ name, below, file }} />
        </li>
      ))}
      {files.map(([name, item]) => (
        <li key={name}>{file(item, name)}</li>
      ))}
      {folder.files.length > shown && (
        <li>
          <button type="button" class="button" onClick={() => setShown(shown + 5 * AT_ONCE)}>
            Show more of {count(folder.files.length, "file")}
          </button>
        </li>
      )}
    </ul>
  );
}

function Twig({
  name,
  below,
  file,
}: {
  name: string;
  below: Folder<Item>;
  file: (item: Item, name: string) => ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {name}/ <span class="fine">{count(below.count, "file")}</span>
      </summary>
      {open && <Branch folder={below} file={file} />}
    </details>
  );
}

interface FileProps {
  dataset: Dataset;
  item: Item;
  name: string;
  looked: boolean;
  mayRemove: boolean;
  onChange: () => void;
}

function File({ dataset, item, name, looked, mayRemove, onChange }: FileProps) {
  const at = { dataset: dataset.id, path: item.path };
  const remove = useAction(async () => {
    await api.delete("/api/v1/datasets/{dataset}/items/{path}", { path: at });
    onChange();
  });
  return (
    <>
      <div class="dataset-file">
        <button
          type="button"
          aria-pressed={looked}
          title={item.path}
          onClick={() => setQuery({ item: looked ? "" : item.path })}
        >
          {name}
        </button>
        <span class="fine num">{bytes(item.size_bytes)}</span>
        <a
          class="button icon"
          aria-label={`Download ${item.path}`}
          title="Download"
          href={addressOf("/api/v1/datasets/{dataset}/items/{path}", at)}
          download={name}
        >
          <Icon name="download" />
        </a>
        {mayRemove && (
          <button
            type="button"
            class="button icon"
            aria-label={`Remove ${item.path}`}
            title="Remove"
            onClick={() => void remove.run()}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      {remove.state.kind === "failed" && (
        <Notice error={remove.state.error} onClose={remove.reset} />
      )}
    </>
  );
}

function useItems(dataset: string, state: string) {
  const [items, setItems] = useState<readonly Item[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [loaded, setLoaded] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const round = useRef<AbortController | null>(null);
  const read = async (from: string | null, known: readonly Item[]) => {
    round.current?.abort();
    const cancel = new AbortController();
    round.current = cancel;
    setError(null);
    try {
      const page = await api.get("/api/v1/datasets/{dataset}/items", {
        path: { dataset },
        query: { limit: PAGE, ...(from ? { cursor: from } : {}) },
        signal: cancel.signal,
      });
      setItems([...known, ...page.items]);
      setCursor(page.cursor ?? null);
      setLoaded(true);
    } catch (failed) {
      if (!cancel.signal.aborted) setError(asApiError(failed));
    }
  };
  useEffect(() => {
    void read(null, []);
    return () => round.current?.abort();
  }, [dataset, state]);
  return {
    items,
    loaded,
    error,
    more: cursor !== null,
    load: () => void read(cursor, cursor ? items : []),
  };
}
