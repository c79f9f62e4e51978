// Builds the page into the directory that is named: build.mjs ../assets
import { build } from "esbuild";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const out = process.argv[2];
if (!out) {
  console.error("usage: node build.mjs DIRECTORY");
  process.exit(2);
}
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: { app: "src/main.tsx", theme: "src/theme.ts" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
  outdir: out,
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) await cp(join("src", name), join(out, name));
const licences = [];
for (const name of ["preact", "uplot"]) {
  const version = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8")).version;
  licences.push(`${name} ${version}\n\n${(await readFile(`node_modules/${name}/LICENSE`, "utf8")).trim()}\n`);
}
await writeFile(join(out, "licenses.txt"), licences.join("\n----\n\n"));
