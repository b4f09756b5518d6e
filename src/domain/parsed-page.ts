/** One page of a parse. */

/** 1-based; a page the service could not read carries its reason instead of text. */
export type ParsedPage =
  | {
      number: number;
      markdown: string;
      /** Set when the text is as long as the service lets a page be: the rest of it was dropped. */
      cut?: true;
    }
  | { number: number; error: string };
