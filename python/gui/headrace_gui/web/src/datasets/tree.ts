// Paths as folders in folders.

export interface Folder<T> {
  folders: [string, Folder<T>][];
  files: [string, T][];
  /** All below it, at any depth. */
  count: number;
}

export function treeOf<T extends { path: string }>(items: readonly T[]): Folder<T> {
  const top: Folder<T> = { folders: [], files: [], count: 0 };
  const known = new Map<string, Folder<T>>([["", top]]);
  const folderAt = (path: string): Folder<T> => {
    const found = known.get(path);
    if (found) return found;
    const made: Folder<T> = { folders: [], files: [], count: 0 };
    known.set(path, made);
    const cut = path.lastIndexOf("/");
    folderAt(path.slice(0, Math.max(0, cut))).folders.push([path.slice(cut + 1), made]);
    return made;
  };
  for (const item of items) {
    const cut = item.path.lastIndexOf("/");
    folderAt(item.path.slice(0, Math.max(0, cut))).files.push([item.path.slice(cut + 1), item]);
  }
  counted(top);
  return top;
}

function counted<T>(folder: Folder<T>): number {
  folder.count = folder.files.length;
  for (const [, below] of folder.folders) folder.count += counted(below);
  return folder.count;
}
