// library.cjs TSC FOLDER: writes the checker's library of the language into a few files without comments and spaces.
//
// Reading that library, 87 files of mostly comments, is most of what checking a small program takes. The order is the
// checker's own, since it decides which of several signatures counts.
"use strict";

const { execFileSync } = require("node:child_process");
const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const { basename, join } = require("node:path");

const [, , tsc, folder] = process.argv;
const COMMENT_OR_TEXT = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[^]*?\*\/|\/\/[^\n]*/g;

function withoutComments(source) {
  const bare = source.replace(COMMENT_OR_TEXT, (found) => (found.startsWith("/") ? "" : found));
  return bare.replace(/[ \t\r]+/g, " ").replace(/ ?\n[ \n]*/g, "\n");
}

mkdirSync(folder);
writeFileSync("nothing.ts", "export {};\n");
const options = ["--ignoreConfig", "--noEmit", "--lib", "esnext", "--types", "", "--listFiles"];
const listed = execFileSync(tsc, [...options, "nothing.ts"], { encoding: "utf8" }).trim().split("\n");
const files = new Map([["globals.d.ts", ""]]);
for (const file of listed.filter((name) => /^lib\..*\.d\.ts$/.test(basename(name)))) {
  const source = withoutComments(readFileSync(file, "utf8"));
  const isModule = /^export\b/m.test(source); // its own names are not everybody's
  const name = isModule ? basename(file) : "globals.d.ts";
  files.set(name, `${files.get(name) ?? ""}${source}\n`);
}
for (const [name, source] of files) writeFileSync(join(folder, name), source);
const references = [...files.keys()].map((name) => `/// <reference path="${name}" />\n`);
writeFileSync(join(folder, "index.d.ts"), references.join(""));
