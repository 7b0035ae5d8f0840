// What somebody was told, in order, and how far a test has looked through it.

// Longer than any step takes, even on a machine that does much else: twice the sum of the waits
// before a third access check. It is never waited for: it only ends a test that has failed.
export const PATIENCE_MS = 60_000;

/** A record of entries, which are told apart by `kindOf`. */
export class Journal {
  entries = [];
  #kindOf;
  #places = new Map();
  #wake = new Set();

  constructor(kindOf) {
    this.#kindOf = kindOf;
  }

  push(entry) {
    this.entries.push(entry);
    for (const wake of [...this.#wake]) wake();
  }

  /** Waits for an entry that fits, after the last of its kind that was seen, and returns it. */
  async sees(wanted, look) {
    const kind = this.#kindOf(wanted);
    const late = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const from = this.#places.get(kind) ?? 0;
      const place = this.entries.findIndex((entry, index) => index >= from && fits(wanted, entry, look));
      if (place >= 0) {
        this.#places.set(kind, place + 1);
        return this.entries[place];
      }
      await this.#more(late);
    }
  }

  counts(wanted, look) {
    return countIn(this.entries, wanted, look);
  }

  #more(late) {
    return new Promise((resolve, reject) => {
      const done = (settle) => () => {
        this.#wake.delete(woken);
        late.removeEventListener("abort", given);
        settle();
      };
      const woken = done(resolve);
      const given = done(() => reject(new Error("it was waited for in vain")));
      this.#wake.add(woken);
      late.addEventListener("abort", given);
    });
  }
}

/** How many entries fit. */
export const countIn = (entries, wanted, look) =>
  entries.filter((entry) => fits(wanted, entry, look)).length;

/**
 * Whether an entry has every field as it is wanted; others may be anything. `look` says what
 * `$name.field` stands for.
 */
export function fits(wanted, entry, look) {
  return Object.entries(wanted).every(([name, wanted]) => valueFits(wanted, entry?.[name], look));
}

function valueFits(wanted, value, look) {
  if (wanted === "*") return value !== undefined && value !== null;
  if (typeof wanted === "string" && wanted.startsWith("$")) return value === look(wanted.slice(1));
  if (wanted === null || typeof wanted !== "object") return wanted === (value ?? null);
  const [[word, inner], ...more] = Object.entries(wanted);
  if (more.length === 0) {
    switch (word) {
      case "not":
        return value !== undefined && value !== null && !valueFits(inner, value, look);
      case "one_of":
        return inner.some((wanted) => valueFits(wanted, value, look));
      case "at_least":
        return typeof value === "number" && value >= inner;
      case "contains":
        return typeof value === "string" && value.includes(inner);
    }
  }
  return fits(wanted, value, look);
}

/** Journals of several, for whoever reads why a test failed. */
export const written = (journals) =>
  journals
    .map(([name, { entries }]) => [`${name}:`, ...entries.map((entry) => `  ${JSON.stringify(entry)}`)])
    .flat()
    .join("\n");
