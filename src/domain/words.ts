/** Words of a text as embedding and index compare them. */
import { isFunctionWord } from './english-words.ts';
import { stem } from './stem.ts';

/** Writing systems without spaces between words: overlapping pairs of their characters serve as words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/**
 * The words of a text in order: lower case, without accents, ligatures, apostrophes and thousands separators; markup falls
 * away with the punctuation. Letters, marks and digits only.
 */
export function wordsOf(text: string): string[] {
  const plain = /^[\0-\x7f]*$/.test(text)
    ? text
    : text
        .normalize('NFKD')
        .replace(/[\u0300-\u036f]/g, '')
        .normalize('NFC');
  const folded = plain
    .toLowerCase()
    .replace(/['\u2019]s\b|['\u2019]/g, '')
    .replace(/(\d),(?=\d{3})/g, '$1');
  return (folded.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).flatMap((word) =>
    UNSPACED.test(word) ? characterPairs(word) : word,
  );
}

function characterPairs(word: string): string[] {
  const characters = [...word];
  return characters.length === 1
    ? characters
    : characters.slice(1).map((character, index) => `${characters[index]}${character}`);
}

/**
 * A function that gives the terms of a text: its words by their stems, grammar words as they are. It remembers the words it
 * has seen (a stem takes 2 microseconds), so make one for each document and let it go.
 */
export function termReader(): (text: string) => string[] {
  const known = new Map<string, string>();
  return (text) =>
    wordsOf(text).map((word) => {
      let term = known.get(word);
      if (term === undefined) {
        term = isFunctionWord(word) ? word : stem(word);
        known.set(word, term);
      }
      return term;
    });
}
