#!/usr/bin/env -S node --
// The two dashes keep Node 20 from reading our --env-file as its own.
import module from 'node:module';

// Node 22 and later keep the compiled code between runs; Node 20 has no such cache.
module.enableCompileCache?.();
const { main } = await import('../dist/main.js');
process.exitCode = await main(process.argv.slice(2));
