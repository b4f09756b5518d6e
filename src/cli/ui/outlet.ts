/** One output stream with the two things every writer must get right: waiting until text is out, and a reader that has gone. */

export interface Outlet {
  /** Resolves when the text has been handed over, or when it never can be. */
  write(text: string): Promise<void>;
  /** The reader went away (`| head`): nothing more is written, and that is no failure. */
  readonly closed: boolean;
  /** A write failed for another reason (a full disk behind a redirection). */
  readonly failure: Error | undefined;
}

/** Wraps a stream; `onClosed` is called once when its reader goes away. Writing after that is a no-op instead of a crash. */
export function outlet(stream: NodeJS.WritableStream, onClosed: () => void = () => {}): Outlet {
  let closed = false;
  let failure: Error | undefined;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (closed) return;
    closed = true;
    // Windows reports a closed pipe as EOF, and a stream that was ended early as a write after end.
    if (error.code !== 'EPIPE' && error.code !== 'EOF' && error.code !== 'ERR_STREAM_DESTROYED') failure = error;
    onClosed();
  });
  return {
    write: (text) =>
      closed || text === '' ? Promise.resolve() : new Promise((resolve) => stream.write(text, () => resolve())),
    get closed() {
      return closed;
    },
    get failure() {
      return failure;
    },
  };
}
