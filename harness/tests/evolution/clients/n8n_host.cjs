'use strict';
// A host for the published n8n node: what n8n gives a node while it executes, no more. Its one argument is the folder in which
// the package is installed. Reads one JSON object a line, `{url, key, resource, operation, parameters}`, and answers each with
// `{items}`, what the node returns, or `{error, description}`, what it throws.

const { createRequire } = require('node:module');
const path = require('node:path');
const readline = require('node:readline');

const load = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { EvolutionApi } = load('n8n-nodes-evolution-api/dist/nodes/EvolutionApi/EvolutionApi.node.js');

async function request({ method, uri, headers, body, json }) {
  const sent = new Headers(json ? { accept: 'application/json', 'content-type': 'application/json' } : {});
  // One value for each name, however it is written.
  Object.entries(headers).forEach(([name, value]) => sent.set(name, value));
  const answer = await fetch(uri, {
    method,
    headers: sent,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) {
    throw Object.assign(new Error(`${answer.status} - ${text}`), { statusCode: answer.status });
  }
  return json && text ? JSON.parse(text) : text;
}

function context({ url, key, resource, operation, parameters }) {
  const known = { ...parameters, resource, operation };
  return {
    getCredentials: async () => ({ 'server-url': url, apikey: key }),
    getInputData: () => [{ json: {} }],
    getNode: () => ({ id: '1', name: 'Evolution API', type: 'evolutionApi', typeVersion: 1, position: [0, 0], parameters: {} }),
    getNodeParameter: (name, _item, fallback) => {
      const value = name.split('.').reduce((part, step) => part?.[step], known);
      if (value === undefined && fallback === undefined) {
        throw new Error(`Could not get parameter "${name}"`);
      }
      return value === undefined ? fallback : value;
    },
    continueOnFail: () => false,
    helpers: {
      request,
      returnJsonArray: (found) => (Array.isArray(found) ? found : [found]).map((one) => (one.json ? one : { json: one })),
    },
  };
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  let answer;
  try {
    const [items] = await new EvolutionApi().execute.call(context(JSON.parse(line)));
    answer = { items: items.map((item) => item.json) };
  } catch (error) {
    answer = { error: error.message, description: error.description };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
