// Makes the vendored scripts in ../assets from the packages of package-lock.json, their licences and their manifest.

import {createHash} from "node:crypto";
import {copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";
import {build} from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "assets");
const licences = join(assets, "licences");

const copied = {"htmx.js": ["htmx.org", "dist/htmx.min.js"]};
const bundled = {"plot.js": "plot.js"};

rmSync(licences, {recursive: true, force: true});
mkdirSync(licences, {recursive: true});

const manifest = [];
for (const [file, [name, source]] of Object.entries(copied)) {
  copyFileSync(join(here, "node_modules", name, source), join(assets, file));
  manifest.push(entry(file, [name]));
}
for (const [file, source] of Object.entries(bundled)) {
  const made = await build({
    entryPoints: [join(here, source)],
    outfile: join(assets, file),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    absWorkingDir: here,
  });
  const inside = Object.values(made.metafile.outputs)[0].inputs;
  const used = Object.entries(inside).filter(([, {bytesInOutput}]) => bytesInOutput > 0);
  manifest.push(entry(file, [...new Set(used.map(([path]) => owner(path)).filter(Boolean))].sort()));
}
manifest.sort((a, b) => (a.file < b.file ? -1 : 1));
writeFileSync(join(assets, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");

/** The package that a bundled file belongs to; null for our own. */
function owner(path) {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
  return found && found[1];
}

function entry(file, names) {
  const sha256 = createHash("sha256").update(readFileSync(join(assets, file))).digest("hex");
  return {file, sha256, packages: names.map(described)};
}

function described(name) {
  const folder = join(here, "node_modules", name);
  const {version, license} = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const text = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  if (!text || !existsSync(join(folder, text))) throw new Error(`${name} has no licence text`);
  const kept = `${name.replace("@", "").replace("/", "-")}.txt`;
  writeFileSync(join(licences, kept), readFileSync(join(folder, text), "utf8").trimEnd() + "\n");
  const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8"));
  return {name, version, license, integrity: lock.packages[`node_modules/${name}`].integrity, text: `licences/${kept}`};
}
