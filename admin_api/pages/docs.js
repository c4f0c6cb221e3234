// Shows openapi.json of this host: every route with its parameters, bodies and answers.
"use strict";

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A schema with what it refers to put in place, to a depth that a reader can take in.
function resolve(schema, schemas, depth = 0) {
  if (Array.isArray(schema)) return schema.map((each) => resolve(each, schemas, depth));
  if (schema === null || typeof schema !== "object") return schema;
  if (typeof schema.$ref === "string") {
    const name = schema.$ref.split("/").pop();
    return depth > 3 ? { $ref: name } : resolve(schemas[name], schemas, depth + 1);
  }
  const entries = Object.entries(schema).filter(([key]) => key !== "title");
  return Object.fromEntries(entries.map(([key, each]) => [key, resolve(each, schemas, depth)]));
}

function showSchema(title, schema, schemas) {
  const text = JSON.stringify(resolve(schema, schemas), null, 2);
  return [make("h3", {}, title), make("pre", {}, text)];
}

function describeType(schema) {
  const { description, default: given, ...rest } = schema;
  const shown = rest.enum ? rest.enum.join(" | ") : JSON.stringify(rest);
  return given === undefined ? shown : `${shown}, default ${JSON.stringify(given)}`;
}

function showParameters(parameters) {
  if (!parameters.length) return [];
  const rows = parameters.map((each) =>
    make("tr", {},
      make("td", {}, make("code", {}, each.name), each.required ? " *" : ""),
      make("td", {}, each.in),
      make("td", {}, each.description || ""),
      make("td", { class: "quiet" }, make("code", {}, describeType(each.schema)))));
  return [make("h3", {}, "Parameters"), make("table", {}, ...rows)];
}

function showOperation(path, method, operation, schemas) {
  const parts = [make("p", {}, operation.description || ""), ...showParameters(operation.parameters)];
  const body = operation.requestBody && operation.requestBody.content["application/json"];
  if (body) parts.push(...showSchema("Body", body.schema, schemas));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const content = Object.values(answer.content || {})[0];
    if (status.startsWith("2") && content) {
      parts.push(...showSchema("Answer", content.schema, schemas));
    }
  }
  const faults = Object.entries(operation.responses).filter(([status]) => !status.startsWith("2"));
  const rows = faults.map(([status, answer]) =>
    make("tr", {}, make("td", {}, make("code", {}, status)), make("td", {}, answer.description)));
  parts.push(make("h3", {}, "Errors"), make("table", {}, ...rows));
  const title = make("summary", {},
    make("span", { class: `method ${method}` }, method.toUpperCase()),
    make("code", {}, path), " ", make("span", { class: "quiet" }, operation.summary));
  const shown = make("details", { id: operation.operationId }, title, make("div", {}, ...parts));
  shown.dataset.text = `${method} ${path} ${operation.summary}`.toLowerCase();
  return shown;
}

function show(api) {
  const byTag = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(showOperation(path, method, operation, api.components.schemas));
    }
  }
  const sections = [...byTag].map(([tag, shown]) =>
    make("section", {}, make("h2", {}, tag.replaceAll("_", " ")), ...shown));
  document.getElementById("routes").replaceChildren(...sections);
}

function filter(event) {
  const wanted = event.target.value.toLowerCase();
  for (const each of document.querySelectorAll("details")) {
    each.hidden = !each.dataset.text.includes(wanted);
  }
}

document.getElementById("search").addEventListener("input", filter);
fetch("openapi.json").then((reply) => reply.json()).then(show, (error) => {
  document.getElementById("routes").replaceChildren(make("p", {}, `openapi.json: ${error}`));
});
