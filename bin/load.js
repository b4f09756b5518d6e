/**
 * Loads dist/, each file with the compiled code the build left beside it: start-up would spend 20 to 30 ms compiling.
 *
 * V8 refuses compiled code of another version of itself, or made under other flags; the file is then compiled as it would
 * be without. What V8 does not look at, the checksum does: a file edited since, and compiled code that was damaged, which
 * would end the process by a signal.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');
const { crc32 } = require('node:zlib');

const CHECKSUM_BYTES = 4;
/** Path to module. */
const modules = new Map();

/** The exports of a file of dist/; `compiled` is told of each script, for the build to keep. */
function load(path, compiled) {
  const known = modules.get(path);
  if (known !== undefined) return known.exports;
  const source = readFileSync(path);
  const script = new Script(wrap(source.toString()), {
    filename: path,
    cachedData: compiled === undefined ? readCompiled(path, source) : undefined,
  });
  compiled?.(path, source, script);
  const module = { exports: {} };
  modules.set(path, module);
  const folder = dirname(path);
  const requireHere = (id) => (id.startsWith('.') ? load(join(folder, id), compiled) : require(id));
  script.runInThisContext().call(module.exports, module.exports, requireHere, module, path, folder);
  return module.exports;
}

function compiledPath(path) {
  return `${path}.compiled`;
}

function readCompiled(path, source) {
  let file;
  try {
    file = readFileSync(compiledPath(path));
  } catch {
    return undefined;
  }
  const compiled = file.subarray(CHECKSUM_BYTES);
  const sound = file.length > CHECKSUM_BYTES && file.readUInt32LE() === checksum(source, compiled);
  return sound ? compiled : undefined;
}

/** The file that holds compiled code, for the build to write. */
function compiledFile(path, source, compiled) {
  const head = Buffer.alloc(CHECKSUM_BYTES);
  head.writeUInt32LE(checksum(source, compiled));
  return { path: compiledPath(path), bytes: Buffer.concat([head, compiled]) };
}

function checksum(source, compiled) {
  return crc32(compiled, crc32(source));
}

module.exports = { load, compiledFile };
