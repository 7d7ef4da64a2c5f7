// Loaded before a program, after programs.cjs: translates TypeScript files as they are imported, and has the program's end
// wait for the type checker.
"use strict";

const Module = require("node:module");
const { existsSync, readFileSync, readSync, statSync } = require("node:fs");
const { dirname, resolve } = require("node:path");
const { fileURLToPath } = require("node:url");
const { Script } = require("node:vm");
const { transformSync } = require("./translator.node");

// As `isMainThread`, without the two ms that loading node:worker_threads takes: in a worker this call is switched off.
const isMainThread = !process.chdir.disabled;
const TYPESCRIPT = /\.(ts|tsx|mts|cts)$/;

// Text and map in one, so that errors name the program's own lines.
function translated(path) {
  const options = { sourcemap: true, decorator: { legacy: true } };
  const { code, map, errors } = transformSync(path, readFileSync(path, "utf8"), options);
  if (errors.length) {
    process.stderr.write(errors.map((error) => `${error.codeframe || error.message}\n`).join(""));
    process.exit(1);
  }
  const encoded = Buffer.from(JSON.stringify(map)).toString("base64");
  return `${code}\n//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
}

// CommonJS is what compiles as the body of a function and speaks of CommonJS's own names.
function isCommonJs(path, code) {
  if (path.endsWith(".cts")) return true;
  if (!/\b(require|module|exports|__dirname|__filename)\b/.test(code)) return false;
  try {
    new Script(`(function (exports, require, module, __filename, __dirname) {${code}\n})`);
    return true;
  } catch {
    return false;
  }
}

// People leave the extension of their own files away, or write the one of what a compiler would make of them.
function written(specifier, parentUrl) {
  if (!/^\.{1,2}\//.test(specifier) || !parentUrl?.startsWith("file:")) return undefined;
  const path = fileURLToPath(new URL(specifier, parentUrl));
  const candidates = [path, path.replace(/\.([mc]?)js$/, ".$1ts"), `${path}.ts`, `${path}.tsx`, `${path}/index.ts`];
  return candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
}

Module.registerHooks({
  resolve(specifier, context, next) {
    const path = written(specifier, context.parentURL);
    return next(path && TYPESCRIPT.test(path) ? path : specifier, context);
  },
  load(url, context, next) {
    if (!url.startsWith("file:") || !TYPESCRIPT.test(url)) return next(url, context);
    const path = fileURLToPath(url);
    const source = translated(path);
    return { format: isCommonJs(path, source) ? "commonjs" : "module", source, shortCircuit: true };
  },
});

// Node hands what the hook calls CommonJS to the loader of `require`.
for (const extension of [".ts", ".tsx", ".mts", ".cts"]) {
  Module._extensions[extension] = (module, path) => {
    const source = translated(path);
    module._compile(source, path, isCommonJs(path, source) ? "commonjs" : "module");
  };
}

// Programs that import speak of CommonJS's names too: a compiler would have made one of the other. Where a program declares
// them itself, its own count; `require.main === module` holds, both being undefined.
if (isMainThread && process.argv[1]) {
  const main = resolve(process.argv[1]);
  Object.assign(globalThis, { require: Module.createRequire(main), module: undefined });
  Object.assign(globalThis, { __filename: main, __dirname: dirname(main) });
}

function waitForChecker() {
  try {
    while (readSync(3, Buffer.alloc(256)) > 0);
  } catch {
    // Nobody checks: the program was started in another way.
  }
}

if (isMainThread) process.on("exit", waitForChecker);
