// Schemas as tables of fields.

import { make } from "./dom.js";
import { prose } from "./prose.js";

/** Deeper than this a field's own fields are left to the document. */
const DEEPEST = 4;

/** What a reference leads to; anything else as it is. */
export function resolved(document, part) {
  if (!part?.$ref) return part ?? {};
  return part.$ref.slice(2).split("/").reduce((found, name) => found[name], document);
}

/** A type in a few words. */
export function typeOf(document, part) {
  const schema = resolved(document, part);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const several = schema.oneOf ?? schema.allOf;
  if (several) return [...new Set(several.map((one) => typeOf(document, one)))].join(" | ");
  const types = [schema.type ?? "anything"].flat().map((type) => {
    if (type === "array") return `list of ${typeOf(document, schema.items)}`;
    return schema.format && type !== "null" ? `${type} (${schema.format})` : type;
  });
  return types.join(" | ");
}

/** What a value is held to, in words; nothing where it may be anything of its type. */
export function limits(schema) {
  const told = [
    schema.default !== undefined && `default ${JSON.stringify(schema.default)}`,
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
    schema.minItems !== undefined && `at least ${schema.minItems}`,
    schema.maxItems !== undefined && `at most ${schema.maxItems}`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
    schema.pattern !== undefined && `matches ${schema.pattern}`,
  ];
  return told.filter(Boolean).join(", ");
}

/** The properties of a schema, of those that it is made of, and of those of which it is one, each once. */
function properties(document, part) {
  const schema = resolved(document, part);
  const parts = [...(schema.oneOf ?? []), ...(schema.allOf ?? [])].flatMap((one) => properties(document, one));
  const isOneOf = Boolean(schema.oneOf);
  const own = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    ({ name, property, isRequired: (schema.required ?? []).includes(name) }));
  const merged = new Map();
  for (const each of [...own, ...parts]) {
    const isRequired = each.isRequired && !(isOneOf && !own.includes(each));
    if (!merged.has(each.name)) merged.set(each.name, { ...each, isRequired, properties: [each.property] });
    else merged.get(each.name).properties.push(each.property);
  }
  return [...merged.values()];
}

/** What may stand within a field: itself, or one of its list. */
function within(document, part) {
  const schema = resolved(document, part);
  if (schema.items) return within(document, schema.items);
  const values = schema.additionalProperties;
  return values && typeof values === "object" ? values : part;
}

function rows(document, part, depth) {
  return properties(document, within(document, part)).flatMap(({ name, properties: several, isRequired }) => {
    const [first] = several;
    const schema = resolved(document, first);
    const cell = make("td", `name depth-${depth}`, name);
    if (isRequired) cell.append(make("small", "required", " required"));
    const types = [...new Set(several.map((one) => typeOf(document, one)))].join(" | ");
    const told = [first.description ?? schema.description, limits(schema)].filter(Boolean).join(" ");
    const row = make("tr", "", null, cell, make("td", "type", types), prose("td", "", told));
    return [row, ...(depth < DEEPEST ? rows(document, first, depth + 1) : [])];
  });
}

/** A table of a schema's fields, and of theirs. */
export function fields(document, part) {
  const all = rows(document, part, 0);
  if (all.length === 0) return prose("p", "note", resolved(document, part).description ?? typeOf(document, part));
  return make("table", "", null, make("tbody", "", null, ...all));
}
