/** Every kind of fault, by what it happens to, with the sentence that `tvdb simulate --list-faults` says about it. */

export const FAULT_ACTIONS = {
  /** Things that can happen to the answer of any endpoint. */
  answer: {
    quota: 'the account is out of money: 402, or 429 insufficient_quota (:code=…)',
    rate: '429 of the kind that passes (:retry-after=…)',
    delay: 'the work is done, the answer comes later (:2s)',
    hang: 'the work is done, no answer ever',
    'hang-before': 'nothing is done, no answer ever',
    cut: 'the work is done, then the socket is destroyed',
    'cut-before': 'the socket is destroyed, nothing is done',
    stall: 'half of the body, then nothing',
    drip: 'the body byte by byte (:1s between two)',
    truncated: 'half of the JSON, as if it were all',
    malformed: 'JSON with a mistake in it',
    html: 'a page of HTML with status 200 (:502)',
    'wrong-shape': 'JSON of another shape',
    huge: 'the body behind 64 MB of spaces (:mb=…)',
    redirect: '302 to elsewhere (:to=…)',
  },
  /** Things that only calls which make something there can do: `parse.create` and `batches.create`. */
  create: {
    duplicate: 'two jobs, or batches, are made by one call',
  },
  /** Things that can be wrong with an embeddings answer. */
  embeddings: {
    reorder: 'rows in another order, each with its right index',
    'missing-index': 'rows without index',
    'duplicate-index': 'two rows with the same index',
    'missing-row': 'one row fewer than texts',
    'short-vector': 'one vector of half the length',
    'wrong-dims': 'all vectors of 256 dimensions',
    nan: 'one vector with a NaN',
    zero: 'one vector of zeros',
    'not-unit': 'vectors of length 2',
    floats: 'floats where base64 was asked for',
    'wrong-model': 'another model than was asked for',
  },
  /** Things that can be wrong with a parse job; taken when the job is made. */
  job: {
    failed: 'ends FAILED (:TIMEOUT or another reason, :billed, :cached for the same file again)',
    stuck: 'stays PENDING for ever',
    'stuck-running': 'stays RUNNING for ever',
    slow: 'takes longer (:10m)',
    gone: 'the id answers 404',
    hidden: 'not in lists (:30s, or for ever)',
    'credits-null': 'usage.credits is null (:20 looks, or for ever)',
    'credits-zero': 'usage.credits is 0 (:20 looks, or for ever)',
    credits: 'bills this many credits instead (:45)',
    'failed-pages': 'pages with success false (:2+5)',
    'missing-pages': 'pages that are left out (:3)',
    'empty-pages': 'pages without text (:1), or all',
    'long-pages': 'pages longer than the 64 KB that are kept (:1)',
    'cancel-refused': 'cannot be cancelled',
    'cancel-billed': 'is billed in full when it is cancelled',
  },
  /** Things that can be wrong with webhooks; taken when the job is made. */
  webhook: {
    missing: 'no delivery at all',
    early: 'success arrives before the create call is answered',
    premature: 'success arrives when the job starts to run',
    late: 'every delivery later (:5s)',
    duplicate: 'every delivery several times (:3)',
    reorder: 'success before running and pending',
    forged: 'signed with a wrong secret',
    'old-secret': 'signed with the secret before this one',
    unsigned: 'no signature',
    uppercase: 'the signature in upper-case hex',
    huge: 'a body of 2 MB (:mb=…)',
  },
  /** Things that can be wrong with a batch; taken when it is made. */
  batch: {
    invalid: 'fails validation',
    expired: 'expires when this share of the rows is done (:0.5)',
    'row-errors': 'this many rows end in the error file (:1)',
    unanswered: 'this many rows are in neither file (:1)',
    frozen: 'stays in progress for ever',
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;
