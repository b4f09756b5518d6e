#!/usr/bin/env -S node --
// The two dashes keep Node 20 from reading our --env-file as its own.
'use strict';
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');
const { load } = require('./load.js');

// For the libraries outside the bundle. Node 22 and later keep their compiled code between runs; Node 20 has no such cache.
enableCompileCache?.();
// What Node itself says of a program that ran dry before it was through.
process.exitCode = 13;
load(join(__dirname, '..', 'dist', 'main.cjs'))
  .main(process.argv.slice(2))
  .then((code) => {
    process.exitCode = code;
  });
