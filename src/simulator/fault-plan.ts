/** What a fault makes of a request: whether the work is done, and what is answered instead. */
import type { Answer, Service, SimRequest } from './exchange.ts';
import type { Fault } from './faults.ts';
import { llamaDetail } from './llama-errors.ts';
import { openaiError, quotaError } from './openai-errors.ts';

/** Faults that leave the work undone unless they say `:accepted`. All others do it unless they say `:refused`. */
const BEFORE = ['quota', 'rate', 'hang-before', 'cut-before', 'redirect'];

/** Whether the endpoint does its work before the fault strikes. */
export function worksFirst({ action, params }: Fault): boolean {
  if (params.accepted !== undefined) return true;
  if (params.refused !== undefined) return false;
  if (action === 'html') return !/^[45]/.test(params.value ?? '200');
  return /^\d/.test(action) ? action.startsWith('2') : !BEFORE.includes(action);
}

/** The answer that a fault puts in the place of the endpoint's own, or `undefined` when it keeps that one. */
export function replacement(fault: Fault, service: Service, request: SimRequest): Answer | undefined {
  const { action, params } = fault;
  if (action === 'quota') return refusal(service === 'llama' ? 402 : 429, fault, service, request);
  if (action === 'rate') return refusal(429, fault, service, request);
  if (action === 'html') return page(Number(params.value ?? 200));
  if (action === 'wrong-shape') return { status: 200, body: { unexpected: ['another', 'shape'], version: 3 } };
  if (action === 'redirect') {
    const location = params.to ?? params.value ?? `http://${request.headers.host}/elsewhere`;
    return { status: 302, headers: { location }, body: undefined };
  }
  if (!/^\d/.test(action)) return undefined;
  if (action === '204') return { status: 204 };
  return params.html === undefined ? refusal(Number(action), fault, service, request) : page(Number(action));
}

function refusal(status: number, fault: Fault, service: Service, request: SimRequest): Answer {
  const { action, params } = fault;
  const retryAfter = params['retry-after'];
  const echoed = params.echo === undefined ? '' : ` (sent: ${request.headers.authorization ?? 'nothing'})`;
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  if (service === 'llama') {
    const detail = params.message ?? llamaDetail(status, request.requestId);
    return { status, headers, body: { detail: echoed === '' ? detail : `${String(detail)}${echoed}` } };
  }
  const error =
    action === 'quota'
      ? quotaError(params.code ?? params.value)
      : { ...openaiError(status, request.requestId), ...codeOf(params) };
  return { status, headers, body: { error: { ...error, message: `${params.message ?? error.message}${echoed}` } } };
}

function codeOf({ code, type }: Fault['params']): { code?: string; type?: string } {
  return { ...(code !== undefined && { code }), ...(type !== undefined && { type }) };
}

function page(status: number): Answer {
  const html = `<!DOCTYPE html>\n<html><head><title>${status}</title></head><body><h1>cloudflare</h1></body></html>\n`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: Buffer.from(html) };
}
