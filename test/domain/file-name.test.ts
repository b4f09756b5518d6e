import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayName, NAME_LENGTH } from '../../src/domain/file-name.ts';

const codePoints = (text: string) => Array.from(text).length;

/** Characters from all the places that names go wrong with, mixed with ordinary ones. */
const hostileName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        '/',
        '\\',
        '..',
        '.',
        ':',
        '\0',
        '\n',
        '\u202e',
        '\u200b',
        '\ufeff',
        '\ud800',
        'e\u0301',
        ' ',
        '-',
        'a.pdf',
        '👩‍🚀',
      ),
      {
        maxLength: 200,
      },
    )
    .map((parts) => parts.join('')),
);

describe('displayName', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['Übersicht 2026 – final (3).pdf', 'Übersicht 2026 – final (3).pdf'],
    ['../../etc/passwd', '.._.._etc_passwd'],
    ['..\\..\\windows\\system.ini', '.._.._windows_system.ini'],
    ['/absolute.pdf', '_absolute.pdf'],
    ['\\\\server\\share\\x.pdf', '__server_share_x.pdf'],
    ['C:x.pdf', 'C_x.pdf'],
    ['a\0b.pdf', 'a␀b.pdf'],
    ['two\nlines\x7f.pdf', 'two␊lines␡.pdf'],
    ['invoice\u202efdp.exe', 'invoice\ufffdfdp.exe'],
    ['zero\u200bwidth.pdf', 'zero\ufffdwidth.pdf'],
    ['cafe\u0301.pdf', 'caf\u00e9.pdf'],
    ['-rf', '-rf'],
    ['%2e%2e%2f.pdf', '%2e%2e%2f.pdf'],
    ['  padded.pdf  ', 'padded.pdf'],
    ['', 'unnamed'],
    ['   ', 'unnamed'],
    ['.', '_'],
    ['..', '__'],
    ['می‌خواهم.pdf', 'می‌خواهم.pdf'],
    [`${'long'.repeat(40)}.pdf`, `${'long'.repeat(28)}lon….pdf`],
    [`x.${'y'.repeat(200)}`, `x.${'y'.repeat(117)}…`],
  ])('T84: shows %j as %j', (name, shown) => {
    expect(displayName(name)).toBe(shown);
  });

  it('T84: makes any string a short, safe, visible line', async () => {
    await fc.assert(
      fc.property(hostileName, (name) => {
        const shown = displayName(name);
        expect(shown).not.toBe('');
        expect(codePoints(shown)).toBeLessThanOrEqual(NAME_LENGTH);
        expect(shown).not.toMatch(
          /[/\\:\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u,
        );
        expect(shown).toBe(shown.normalize('NFC'));
        expect(['.', '..']).not.toContain(shown);
      }),
      { numRuns: 2_000 },
    );
  });

  it('T84: changes nothing when it is applied again', async () => {
    await fc.assert(
      fc.property(hostileName, (name) => {
        const once = displayName(name);
        expect(displayName(once)).toBe(once);
      }),
      { numRuns: 2_000 },
    );
  });

  it('T84: keeps the extension of a long name', async () => {
    await fc.assert(
      fc.property(
        fc.string({ minLength: 100, maxLength: 400 }),
        fc.constantFrom('.pdf', '.docx', '.tar.gz'),
        (stem, extension) => {
          expect(displayName(`${stem}x${extension}`).endsWith(extension.slice(extension.lastIndexOf('.')))).toBe(true);
        },
      ),
    );
  });
});
