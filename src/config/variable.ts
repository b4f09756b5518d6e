/** The form of one setting: its variable, its default, how its text is read, and its documentation. */
/** One setting. `parse` throws an `Error` whose message completes "NAME …" (for example: "must be a whole number"). */
export interface Variable<T> {
  /** Heading it stands under in the example file. */
  group:
    | 'Mode'
    | 'Keys'
    | 'Places'
    | 'Upload limits'
    | 'Pipeline'
    | 'Real services'
    | 'Money'
    | 'Results and webhooks'
    | 'HTTP API'
    | 'Mock services'
    | 'Worker'
    | 'Output';
  doc: string;
  /** Text form of the default; `undefined` means unset. */
  default: string | undefined;
  parse: (text: string) => T;
  /** Shown as its last four characters only, and scrubbed from every output. */
  secret?: boolean;
  /** For choices: the allowed values. */
  choices?: readonly string[];
}

/** A row of a table of settings; keeps the type of its value. */
export const variable = <T>(row: Variable<T>): Variable<T> => row;
