/**
 * How much an English word says about what a text is about, where no collection is at hand to count in.
 *
 * Stands in for inverse document frequency: an embedding must not depend on which other documents are stored.
 */

const set = (words: string) => new Set(words.split(/\s+/));

/** Grammar: pronouns, articles, prepositions, conjunctions, auxiliaries, question words. */
const FUNCTION_WORDS = set(
  `a about above after again against all also am an and any are as at be because been before being below between both but
  by can cannot cant could couldnt did didnt do does doesnt doing dont down during each either else ever every few for
  from further get gets gave give given go goes had has hasnt have havent having he hence her here hers herself him
  himself his how however i if im in into is isnt it its itself ive just let like made make makes many may me might more
  most much must my myself neither no nor not now of off often on once one only onto or other others otherwise ought our
  ours ourselves out over own per perhaps please rather same shall she should shouldnt since so some still such than that
  thats the their theirs them themselves then there therefore these they theyre this those though through thus to too
  toward towards under until unless up upon us use used uses using very via was wasnt we well were werent what whatever
  whats when whenever where whether which while who whoever whom whose why will with within without wont would wouldnt
  yes yet you your youre yours yourself yourselves`,
);

/** Everyday words that appear in texts on any subject. */
const COMMON_WORDS = set(
  `able actually add again allow allowed allows almost already always another appear around ask asked away back become
  becomes begin believe best better big bring call called came certain change changes come comes consider continue create
  day days decide different done early enough even example expect fact far find first five follow following follows form
  found four full general give good great happen happens help important include included includes including instead keep
  keeps kind know known large last later lead learn least leave less likely little long look looking looks lot mean means
  near necessary need needed needs never new next number often old open part particular people person place point
  possible probably provide provided provides put quite reach read really remain remember require required requires right
  said say says second see seem seems send serve set several show shown shows simply small sometimes soon start starts
  stay stop suggest sure take takes taken tell thing things think third three time times together tried try trying two
  understand usual usually various wait want wanted wants watch way ways week weeks whole work works write year years`,
);

const FUNCTION_WORD = 0.1;
const COMMON_WORD = 0.45;
/** Short words are the more frequent ones in English (Zipf's law of abbreviation): weights rise with length up to this one. */
const LENGTH_OF_FULL_WEIGHT = 7;
const SHORTEST_WEIGHT = 0.7;

/** Weight of a lower-case word without apostrophes, from 0.1 for grammar to 1 for long words and numbers. */
export function wordWeight(word: string): number {
  if (FUNCTION_WORDS.has(word)) return FUNCTION_WORD;
  if (/\p{N}/u.test(word)) return 1;
  const share = Math.min(1, Math.max(0, word.length - 2) / (LENGTH_OF_FULL_WEIGHT - 2));
  const byLength = SHORTEST_WEIGHT + (1 - SHORTEST_WEIGHT) * share;
  return COMMON_WORDS.has(word) ? COMMON_WORD * byLength : byLength;
}

/** Whether a word carries grammar only. */
export function isFunctionWord(word: string): boolean {
  return FUNCTION_WORDS.has(word);
}
