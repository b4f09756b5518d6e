/** Text that attacks a terminal (CWE-150), and what must not come through. */

/** Everything a terminal obeys, hides or reorders. */
export const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/u;

/** 200 texts that would clear, retitle, overwrite, reorder or hide, alone and inside a file name. */
export function payloads(): string[] {
  const sequences = [
    '\x1b[2J',
    '\x1b[H',
    '\x1b]0;title\x07',
    '\x1b]8;;http://x\x1b\\',
    '\x1b]52;c;aGk=\x07',
    '\x1bP1$r\x1b\\',
    '\x9b31m',
    '\x1b[?25l',
    '\x1bc',
    '\x1b[6n',
  ];
  const controls = [...Array(32).keys(), ...Array.from({ length: 33 }, (_, i) => 0x7f + i)].map((c) =>
    String.fromCharCode(c),
  );
  const hidden = [
    '\u061c',
    '\u200b',
    '\u200c',
    '\u200d',
    '\u200e',
    '\u200f',
    '\u202a',
    '\u202b',
    '\u202c',
    '\u202d',
    '\u202e',
    '\u2060',
    '\u2061',
    '\u2066',
    '\u2067',
    '\u2068',
    '\u2069',
    '\ufeff',
    '\u00ad',
    '\u034f',
    '\u115f',
    '\u180e',
    '\u3164',
    '\uffa0',
    '\ufff9',
    '\u2028',
    '\u2029',
    '\ufe0f',
    '\u{e0001}',
    '\u{e0041}',
    '\u{1d173}',
    '\ud800',
    '\udfff',
  ];
  const around = (text: string) => [`${text}`, `name${text}.pdf`];
  return [...sequences, ...controls, ...hidden].flatMap(around);
}
