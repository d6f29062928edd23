// Makes the pages: everything under src into one folder that the service ships, static unless another is named.
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const SOURCE = join(HERE, "src");
const made = process.argv[2] ?? join(HERE, "static");
const ours = /\.(js|css|html|svg|txt)$/;
const others = ["lit-html", "uplot"]; // what the bundle holds of others, whose licences go along

const there = await readdir(SOURCE);
const pages = there.filter((name) => name.endsWith(".html"));
const scripts = pages.map((name) => name.replace(/\.html$/, ".js")).filter((name) => there.includes(name));
const styles = there.filter((name) => name.endsWith(".css"));

for (const name of await readdir(made).catch(() => [])) if (ours.test(name)) await rm(join(made, name));
await build({
  absWorkingDir: HERE,
  entryPoints: [...scripts, ...styles].map((name) => join("src", name)),
  outdir: made,
  bundle: true,
  splitting: true, // what both pages need is sent once
  chunkNames: "shared-[hash]",
  minify: true,
  format: "esm",
  target: ["es2022", "chrome123", "firefox120", "safari17.5"],
  legalComments: "eof",
  charset: "utf8",
  logLevel: "warning",
});
for (const name of there.filter((name) => /\.(html|svg)$/.test(name))) await cp(join(SOURCE, name), join(made, name));
const licences = others.map(async (name) => `${name}\n\n${await readFile(join(HERE, "node_modules", name, "LICENSE"), "utf8")}`);
await writeFile(join(made, "licences.txt"), (await Promise.all(licences)).join("\n\n"));
