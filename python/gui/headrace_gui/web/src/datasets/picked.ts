// The files that somebody dropped or chose, with their paths, those in folders too.

export interface Picked {
  path: string;
  file: File;
}

/** Of a file input; `webkitRelativePath` begins with the chosen folder's own name. */
export function ofInput(files: Iterable<File>): Picked[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** To be called while the drop is handled: its entries are gone afterwards. */
export function ofDrop(data: DataTransfer): Promise<Picked[]> {
  const entries = [...data.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry());
  const plain = [...data.files];
  return (async () => {
    const found: Picked[] = [];
    for (const [at, entry] of entries.entries()) {
      const file = plain[at];
      if (entry) await walk(entry, "", found);
      else if (file) found.push({ path: file.name, file });
    }
    return found;
  })();
}

async function walk(entry: FileSystemEntry, above: string, found: Picked[]): Promise<void> {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    found.push({ path, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives at most 100 entries at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!some.length) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}

/** Items are named from the folder on, as `headrace dataset upload` does with one folder. */
export function withoutTop(picked: readonly Picked[]): { files: Picked[]; folder: string } {
  const tops = new Set(picked.map(({ path }) => path.split("/")[0] ?? ""));
  const [folder] = tops;
  if (tops.size !== 1 || !folder || picked.some(({ path }) => !path.includes("/"))) {
    return { files: [...picked], folder: "" };
  }
  const files = picked.map(({ path, file }) => ({ path: path.slice(folder.length + 1), file }));
  return { files, folder };
}

/** What a system leaves in folders, and nobody means to send. */
export function isLitter({ path }: Picked): boolean {
  return /(^|\/)(\.DS_Store|Thumbs\.db|desktop\.ini|\.git\/.*)$/.test(path);
}
