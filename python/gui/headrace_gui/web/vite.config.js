// Builds src/ into ../assets: one page, hashed files beside it, each of them compressed too.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig } from "vite";

const assets = new URL("../assets", import.meta.url).pathname;

function compressed() {
  return {
    name: "compressed",
    closeBundle() {
      for (const name of readdirSync(assets, { recursive: true })) {
        if (/\.(js|css|html|svg)$/.test(name)) {
          const file = join(assets, name);
          const plain = readFileSync(file);
          writeFileSync(`${file}.br`, brotliCompressSync(plain));
          writeFileSync(`${file}.gz`, gzipSync(plain, { level: 9 }));
        }
      }
    },
  };
}

export default defineConfig({
  plugins: [compressed()],
  build: {
    outDir: assets,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // An image inside of a style sheet would be a second kind of source for the policy to allow.
    assetsInlineLimit: 0,
  },
});
