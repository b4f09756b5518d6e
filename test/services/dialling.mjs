/**
 * Tries every way out of a process that is locked, and the ways that must stay open; prints a JSON report. A process of
 * its own, because the test runner replaces http and fetch. Started with the path of the bundled lock.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import * as dnsPromises from 'node:dns/promises';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { pathToFileURL } from 'node:url';
import undici from 'undici';

const [, , lockFile, directory] = process.argv;
const NAME = 'outside.example';
const ADDRESS = '192.0.2.1';

// Below the lock: what it lets through is counted here, and what is not of this machine goes no further.
const passed = [];
const isOutside = (args) =>
  JSON.stringify(args, (_key, value) => (typeof value === 'bigint' ? `${value}` : value)).match(
    /example|192\.0\.2\.1|2001:db8/,
  );
function watch(owner, name, label) {
  const original = owner[name];
  owner[name] = function (...args) {
    if (!isOutside(args.filter((arg) => typeof arg !== 'function'))) return Reflect.apply(original, this, args);
    passed.push(label);
    return this;
  };
}
watch(net.Socket.prototype, 'connect', 'socket');
for (const name of ['send', 'connect']) watch(dgram.Socket.prototype, name, `datagram ${name}`);
const asking = (owner) => Object.getOwnPropertyNames(owner).filter((name) => /^(resolve|reverse|lookup)/.test(name));
const resolvers = {
  dns,
  Resolver: dns.Resolver.prototype,
  promises: dns.promises,
  'promises.Resolver': dns.promises.Resolver.prototype,
};
for (const [label, owner] of Object.entries(resolvers))
  for (const name of asking(owner)) watch(owner, name, `${label}.${name}`);
syncBuiltinESMExports();
const before = Object.values(resolvers).flatMap((owner) => asking(owner).map((name) => owner[name]));
const connectBefore = net.Socket.prototype.connect;

const { lockTransport } = await import(pathToFileURL(lockFile));
const unlock = lockTransport();

/** The code of the refusal, wherever in the chain of causes it is; else what happened instead. */
function codeOf(thrown) {
  for (let one = thrown; one instanceof Error; one = one.cause) if (one.code === 'E901') return 'E901';
  return `other: ${thrown}`;
}

async function outcome(attempt) {
  try {
    const made = attempt();
    if (typeof made?.then === 'function') await made;
    else if (typeof made?.once === 'function') {
      await new Promise((resolve, reject) => {
        made.once('error', reject);
        for (const event of ['connect', 'response', 'message']) made.once(event, resolve);
        setImmediate(() => setImmediate(() => setImmediate(resolve)));
      });
    }
    return 'passed';
  } catch (thrown) {
    return codeOf(thrown);
  }
}

const nothing = () => {};
const inThisMachine = (_host, _options, done) => done(null, ADDRESS, 4);
const udp = () => dgram.createSocket('udp4').unref();
const socket = () => new net.Socket();

const ways = {
  'fetch, name': () => fetch(`http://${NAME}/`),
  'fetch, address': () => fetch(`https://${ADDRESS}/`),
  'undici.fetch': () => undici.fetch(`https://${NAME}/`),
  'undici.request': () => undici.request(`http://${ADDRESS}/`),
  'http.get': () => http.get(`http://${NAME}/`),
  'http.request, options': () => http.request({ host: ADDRESS, port: 80, path: '/' }),
  'http.request, no agent': () => http.request({ hostname: NAME, path: '/', agent: false }),
  'http.request, agent of its own': () =>
    http.request(`http://${NAME}/`, { agent: new http.Agent({ keepAlive: true }) }),
  'https.request': () => https.request(`https://${NAME}/`),
  'http2.connect': () => http2.connect(`https://${NAME}/`),
  'net.connect(port, host)': () => net.connect(80, NAME),
  'net.connect(port as text, host)': () => net.connect('80', NAME),
  'net.connect(hexadecimal port, host)': () => net.connect('0x50', NAME),
  'net.connect(port with a space, host)': () => net.connect(' 80', NAME),
  'net.connect(empty port, host)': () => net.connect('', NAME),
  'net.connect(port, host, listener)': () => net.connect(80, ADDRESS, nothing),
  'net.connect({ port, host })': () => net.connect({ port: 80, host: NAME }),
  'net.connect({ path: "", port, host })': () => net.connect({ path: '', port: 80, host: NAME }),
  'net.connect({ path: null, port, host })': () => net.connect({ path: null, port: 80, host: ADDRESS }),
  'net.connect({ path: undefined, port, host })': () => net.connect({ path: undefined, port: 80, host: ADDRESS }),
  'net.connect({ host: number })': () => net.connect({ port: 80, host: 3221225985 }),
  'net.connect({ host: an object })': () => net.connect({ port: 80, host: { toString: () => ADDRESS } }),
  'net.connect({ host: localhost, lookup })': () => net.connect({ port: 80, host: 'localhost', lookup: inThisMachine }),
  'net.connect, IPv6': () => net.connect(80, '2001:db8::1'),
  'net.connect, a name that begins like this machine': () => net.connect(80, `127.0.0.1.${NAME}`),
  'net.connect, a name below localhost': () => net.connect(80, 'localhost.example'),
  'socket.connect(port, host)': () => socket().connect(80, NAME),
  'socket.connect({ port, host })': () => socket().connect({ port: 80, host: NAME }),
  'socket.connect, an array with the options on it': () =>
    socket().connect(Object.assign([{}, null], { port: 80, host: NAME })),
  'net.createConnection': () => net.createConnection({ port: 80, host: NAME }),
  'tls.connect(port, host)': () => tls.connect(443, NAME),
  'tls.connect({ port, host })': () => tls.connect({ port: 443, host: ADDRESS }),
  'tls.connect({ path: "", port, host })': () => tls.connect({ path: '', port: 443, host: NAME }),
  'dgram send': () => udp().send('x', 53, ADDRESS),
  'dgram send, name': () => udp().send('x', 53, NAME),
  'dgram connect': () => udp().connect(53, NAME),
};
const argumentOf = (name) => (name === 'reverse' ? [ADDRESS] : name === 'lookupService' ? [ADDRESS, 80] : [NAME]);
for (const [label, owner] of Object.entries(resolvers)) {
  const promised = label.startsWith('promises');
  const instance =
    label === 'Resolver' ? new dns.Resolver() : label === 'promises.Resolver' ? new dns.promises.Resolver() : owner;
  for (const name of asking(owner)) {
    ways[`${label}.${name}`] = () => instance[name](...argumentOf(name), ...(promised ? [] : [nothing]));
  }
}
ways['node:dns/promises, imported by name'] = () => dnsPromises.resolve4(NAME);

const refused = {};
for (const [name, attempt] of Object.entries(ways)) refused[name] = await outcome(attempt);

const open = {};
const server = http.createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const { port } = server.address();
open.fetch = await (await fetch(`http://127.0.0.1:${port}/`)).text();
open['fetch, localhost'] = await (await fetch(`http://localhost:${port}/`)).text();
open['undici.request'] = await (await undici.request(`http://127.0.0.1:${port}/`)).body.text();
open['http.get'] = await new Promise((resolve, reject) => {
  http
    .get({ host: 'localhost', port, agent: false }, (response) => response.on('data', (part) => resolve(`${part}`)))
    .on('error', reject);
});
const pipe = process.platform === 'win32' ? `\\\\.\\pipe\\tvdb-${process.pid}` : join(directory, 'pipe');
const piped = net.createServer((one) => one.end('hello')).listen(pipe);
await new Promise((resolve) => piped.once('listening', resolve));
for (const [name, dial] of [
  ['pipe', () => net.connect(pipe)],
  ['pipe, options', () => net.connect({ path: pipe, host: 'ignored' })],
]) {
  open[name] = await new Promise((resolve, reject) =>
    dial()
      .on('data', (part) => resolve(`${part}`))
      .on('error', reject),
  );
}
open['dns.promises.lookup'] = (await dns.promises.lookup('localhost')).address === undefined ? 'none' : 'hello';
piped.close();
server.close();
server.closeAllConnections();

// Locks overlap in any order, and opening one twice counts once.
const passedLocked = [...passed];
const second = lockTransport();
unlock();
unlock();
const stillLocked = await outcome(() => net.connect(80, NAME));
const kept = net.Socket.prototype.connect;
second();
passed.length = 0;
kept.call(socket(), 80, NAME);
const after = Object.values(resolvers).flatMap((owner) => asking(owner).map((name) => owner[name]));
const restored =
  net.Socket.prototype.connect === connectBefore &&
  after.every((one, index) => one === before[index]) &&
  passed.join() === 'socket';
process.stdout.write(JSON.stringify({ refused, passed: passedLocked, open, stillLocked, restored }));
