// Loaded before a program: lets it find this runtime's packages, and be an ES module or a CommonJS one whatever its name.
"use strict";

const Module = require("node:module");
const { isBuiltin, registerHooks } = Module;
const { readFileSync } = require("node:fs");
const { fileURLToPath, pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

const runtime = pathToFileURL(__filename).href;
const programs = pathToFileURL(process.cwd() + "/").href;

function isBare(specifier) {
  return !/^(\.{0,2}\/|[a-z]+:)/.test(specifier) && !isBuiltin(specifier);
}

// CommonJS is what compiles as the body of a function and speaks of CommonJS's own names.
function isCommonJs(source) {
  if (!/\b(require|module|exports|__dirname|__filename)\b/.test(source)) return false;
  try {
    new Script(`(function (exports, require, module, __filename, __dirname) {${source.replace(/^#!.*/, "")}\n})`);
    return true;
  } catch {
    return false;
  }
}

function sourceOf(path) {
  return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
}

registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (!isBare(specifier) || !context.parentURL?.startsWith(programs)) throw error;
      try {
        return next(specifier, { ...context, parentURL: runtime });
      } catch {
        throw error; // the first one names the program's file
      }
    }
  },
  load(url, context, next) {
    const format = url.startsWith(programs) && url.endsWith(".mjs") && isCommonJs(sourceOf(fileURLToPath(url)));
    return next(url, format ? { ...context, format: "commonjs" } : context);
  },
});

// Node hands what the hook calls CommonJS to the loader of `require`, which goes by the extension alone.
Module._extensions[".mjs"] = (module, path) => {
  const source = sourceOf(path);
  module._compile(source, path, isCommonJs(source) ? "commonjs" : "module");
};
