/** Files of tests share a process, so each must leave it as it found it: what one changes the next would be judged by. */
import { afterAll, afterEach, expect } from 'vitest';
import { cleanUp } from './afterwards.ts';

const shared = () => ({ cwd: process.cwd(), env: { ...process.env }, clock: [Date, setTimeout, setInterval] });

const found = shared();
afterEach(() => cleanUp('test'));
afterAll(() => cleanUp('file'));
afterAll(() => expect(shared()).toEqual(found));
