/** The one flag with which a command is told what it may spend; apart from the asking, which start-up need not load. */

/** The flag of every command that may pay. */
export const MAX_COST_OPTION = {
  name: 'max-cost',
  value: 'money',
  valueName: 'usd',
  summary: 'spend at most this in this run; it is also the consent to that sum',
} as const;
