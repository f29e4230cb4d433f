// All files of a dataset as one archive. The browser holds it until it is whole, so there is a
// bound; each file's SHA-256 is compared.
import { useState } from "preact/hooks";
import { ActionButton } from "../action";
import { ApiError, addressOf, api, send } from "../api";
import { bytes } from "../format";
import type { Dataset } from "./domain";
import { sha256Of } from "./hashing";
import { type Member, tarOf } from "./tar";

const MOST_BYTES = 2 ** 30;
const ITEM = "/api/v1/datasets/{dataset}/items/{path}";

export function DownloadAll({ dataset }: { dataset: Dataset }) {
  const [at, setAt] = useState(0);
  const large = dataset.size_bytes > MOST_BYTES;
  return (
    <ActionButton
      icon="download"
      pending={`${bytes(at)} of ${bytes(dataset.size_bytes)}`}
      done="All files are downloaded."
      title={`As one archive, ${dataset.name}.tar`}
      work={async () => {
        if (large) throw tooLarge(dataset);
        setAt(0);
        const members: Member[] = [];
        let done = 0;
        for await (const item of itemsOf(dataset.id)) {
          const address = addressOf(ITEM, { dataset: dataset.id, path: item.path });
          const content = await (await send(address)).blob();
          if ((await sha256Of(content)) !== item.sha256) throw damaged(item.path);
          members.push({ path: `${dataset.name}/${item.path}`, content });
          done += item.size_bytes;
          setAt(done);
        }
        save(tarOf(members, Date.parse(dataset.sealed ?? dataset.created) / 1000), dataset.name);
      }}
    >
      Download all
    </ActionButton>
  );
}

async function* itemsOf(dataset: string) {
  let cursor: string | null = "";
  while (cursor !== null) {
    const query: { limit: number; cursor?: string } = { limit: 1000 };
    if (cursor) query.cursor = cursor;
    const page: {
      items: { path: string; size_bytes: number; sha256: string }[];
      cursor: string | null;
    } = await api.get("/api/v1/datasets/{dataset}/items", { path: { dataset }, query });
    yield* page.items;
    cursor = page.cursor;
  }
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = `${name}.tar`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function tooLarge(dataset: Dataset): ApiError {
  return new ApiError(
    0,
    "TOO_LARGE",
    `${bytes(dataset.size_bytes)} is more than a browser should hold; the bound is ${bytes(MOST_BYTES)}.`,
    `headrace dataset download ${dataset.title} FOLDER resumes and checks; single files can be downloaded here.`,
  );
}

function damaged(path: string): ApiError {
  const why = `What came of ${path} is not the file: its SHA-256 is another one.`;
  return new ApiError(0, "CHECKSUM", why, "Try again; if it stays so, tell your admin.");
}
