// One statement of an explanation, which the client writes as for a terminal: a sentence, then lines
// of a label and a text in columns. Here the columns become a list, and long ids become short.

/** Where the text begins in such a line; the label stands before it. */
const COLUMN = 12;

const ID = /\b([0-9a-f]{8})[0-9a-f]{24}\b/g;

export function statement(text) {
  const [sentence, ...lines] = text.replace(ID, '$1…').split('\n');
  const item = document.createElement('li');
  item.append(element('p', sentence));
  if (lines.length === 0) return item;
  const list = document.createElement('dl');
  for (const line of lines) {
    const label = line.slice(0, COLUMN).trim();
    // A line without a label goes on with the last one.
    if (label !== '') list.append(element('dt', label));
    list.append(element('dd', line.slice(COLUMN)));
  }
  item.append(list);
  return item;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
