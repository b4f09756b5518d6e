/** Which values of `Host` a listener answers: a page of any site can make a browser call 127.0.0.1, but not under this name. */
import type { IncomingMessage } from 'node:http';

const DEFAULT_PORTS: Record<string, string> = { 'http:': '80', 'https:': '443' };

/** The names of this machine with our port; nothing else that leads here, such as `127.1` or a name of somebody's domain. */
export function loopbackHosts(port: number): ReadonlySet<string> {
  return new Set([`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]);
}

/** With a public address exactly its host, and 127.0.0.1 for what is delivered on this machine. */
export function publicHosts(publicUrl: string | undefined, port: number): ReadonlySet<string> {
  if (publicUrl === undefined) return loopbackHosts(port);
  const { protocol, hostname, host } = new URL(publicUrl);
  return new Set([host, `${hostname}:${new URL(publicUrl).port || DEFAULT_PORTS[protocol]}`, `127.0.0.1:${port}`]);
}

/** Whether a request names one of these hosts, once. Node would take the first of two. */
export function hasHost({ rawHeaders }: IncomingMessage, hosts: ReadonlySet<string>): boolean {
  const given = rawHeaders.filter(
    (_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host',
  );
  return given.length === 1 && hosts.has((given[0] ?? '').toLowerCase());
}
