// One call: what it is, what it takes, how it is asked, and what it answers.

import { make } from "./dom.js";
import { prose } from "./prose.js";
import { fields, limits, resolved, typeOf } from "./schema.js";

const json = (value) => JSON.stringify(value, null, 2);

/** The rights of which a call asks for one; none where it asks nobody. */
function rights(operation) {
  const alternatives = operation.security ?? [];
  return [...new Set(alternatives.flatMap((alternative) => Object.values(alternative).flat()))];
}

/** A parameter's value as its address has it. */
const written = (parameter) => encodeURIComponent(parameter.example ?? parameter.name);

/** The address with the examples of its parameters, relative to where the document is. */
function address(document, path, operation) {
  const parameters = operation.parameters ?? [];
  const inPath = (whole, parameter) => whole.replace(`{${parameter.name}}`, written(parameter));
  const filled = parameters.filter((parameter) => parameter.in === "path").reduce(inPath, path);
  const asked = parameters.filter((parameter) => parameter.in === "query" && parameter.example !== undefined);
  const query = asked.map((parameter) => `${parameter.name}=${written(parameter)}`).join("&");
  const server = new URL((operation.servers ?? document.servers)[0].url, location.href).href.replace(/\/$/, "");
  return `${server}${filled}${query && `?${query}`}`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The call as a command for a shell. */
function command(document, { path, method, operation }) {
  const body = operation.requestBody?.content["application/json"];
  const parts = ["curl"];
  if (method !== "get" && !body) parts.push(`-X ${method.toUpperCase()}`);
  if (rights(operation).length > 0) parts.push("-H 'Authorization: Bearer KEY'");
  if (body) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body.example))}`);
  return [...parts, quoted(address(document, path, operation))].join(" \\\n     ");
}

function parameters(document, operation) {
  if (!operation.parameters?.length) return [];
  const rows = operation.parameters.map((parameter) => {
    const name = make("td", "name", parameter.name);
    if (parameter.required) name.append(make("small", "required", " required"));
    const told = [parameter.description, limits(parameter.schema), parameter.example !== undefined && `For example ${parameter.example}`];
    return make("tr", "", null, name, make("td", "type", `${typeOf(document, parameter.schema)}, in the ${parameter.in}`),
      prose("td", "", told.filter(Boolean).map((text) => text.replace(/\.?$/, ".")).join(" ")));
  });
  return [make("h3", "", "Parameters"), make("table", "", null, make("tbody", "", null, ...rows))];
}

function body(document, operation) {
  const content = operation.requestBody?.content["application/json"];
  return content ? [make("h3", "", "Body"), fields(document, content.schema)] : [];
}

function answer(document, [status, response]) {
  const told = resolved(document, response);
  const entry = make("details", "answer", null, make("summary", "", null, make("code", "status", status), prose("span", "", told.description)));
  for (const [type, { schema, example }] of Object.entries(told.content ?? {})) {
    entry.append(make("p", "note", type));
    if (example !== undefined) entry.append(make("pre", "", json(example)));
    if (type === "application/json") entry.append(fields(document, schema));
  }
  return entry;
}

/** A call, closed; what is in it is made when it is opened. */
export function call(document, entry) {
  const { path, method, operation } = entry;
  const summary = make("summary", "", null, make("span", `chip ${method}`, method.toUpperCase()), make("code", "path", path),
    make("span", "what", operation.summary));
  const shown = make("details", "call", null, summary);
  shown.id = operation.operationId;
  shown.addEventListener("toggle", () => {
    if (!shown.open || shown.children.length > 1) return;
    const needed = rights(operation);
    const key = needed.length === 0 ? "Asks nobody for a key." : `Where a key is asked for, it needs the right ${needed.join(" or ")}.`;
    const answers = Object.entries(operation.responses);
    shown.append(make("div", "inside", null, prose("p", "", operation.description), make("p", "note", key),
      ...parameters(document, operation), ...body(document, operation),
      make("h3", "", "Example"), make("pre", "", command(document, entry)),
      make("h3", "", "Answers"), ...answers.map((each) => answer(document, each))));
  });
  return shown;
}
