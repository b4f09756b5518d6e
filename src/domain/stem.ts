/** Light English stemming: inflections and common derivations of a word share one stem. */

/** Plural and verb endings first, then derivations; longer ones before those they end in. */
const SUFFIXES = [
  'ational',
  'ization',
  'isation',
  'fulness',
  'ousness',
  'iveness',
  'ability',
  'ibility',
  'ations',
  'ation',
  'ments',
  'ities',
  'ition',
  'ional',
  'ment',
  'ness',
  'able',
  'ible',
  'ance',
  'ence',
  'ants',
  'ity',
  'ion',
  'ant',
  'ent',
  'ing',
  'ful',
  'ous',
  'ive',
  'ize',
  'ise',
  'ed',
  'er',
  'or',
  'ly',
  'al',
  'ic',
] as const;

const LEAST_STEM = 3;
const LEAST_WORD = 4;

/**
 * The stem of a lower-case word. It is a key for comparison, not a word. Words with digits, words under four letters and
 * words of other alphabets come back unchanged. Up to two suffixes go, so that "reimbursements", "reimbursed" and
 * "reimburse" meet; a full Porter stemmer is three times as long, and found no more on the texts this was measured with.
 */
export function stem(word: string): string {
  if (word.length < LEAST_WORD || !/^[a-z]+$/.test(word)) return word;
  let rest = withoutSuffix(withoutSuffix(singular(word)));
  const last = rest.at(-1) ?? '';
  // "stopped" and "stop"; but "billing" and "bill", "missing" and "miss" keep their double letter.
  if (rest.length > LEAST_STEM && last === rest.at(-2) && !'aeioulsz'.includes(last)) rest = rest.slice(0, -1);
  if (rest.length > LEAST_STEM && /[eyi]$/.test(rest)) rest = rest.slice(0, -1);
  return rest;
}

function singular(word: string): string {
  if (word.endsWith('ies') && word.length > LEAST_WORD) return `${word.slice(0, -3)}y`;
  if (/(?:ch|sh|x|z|ss)es$/.test(word)) return word.slice(0, -2);
  return word.endsWith('s') && !/(?:ss|us|is)$/.test(word) ? word.slice(0, -1) : word;
}

function withoutSuffix(word: string): string {
  const suffix = SUFFIXES.find((ending) => word.endsWith(ending) && isStem(word.slice(0, -ending.length)));
  return suffix === undefined ? word : word.slice(0, -suffix.length);
}

/** Long enough, and with a vowel: "string" is not a form of "str". */
function isStem(rest: string): boolean {
  return rest.length >= LEAST_STEM && /[aeiouy]/.test(rest);
}
