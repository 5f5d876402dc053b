// Requests to the server. Addresses are relative to the page, so that the token in its path is in each of them.

const decoder = new TextDecoder();

/** Split an answer into its object and its bytes; see `frame` in _app.py. */
function unframe(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  return { header, bytes: new Uint8Array(buffer, 4 + length) };
}

/** Ask the server; resolves to the bytes of the answer. */
async function askServer(name, body, raw, query) {
  let response;
  try {
    const content = raw ?? JSON.stringify(body);
    response = await fetch(`api/${name}${query}`, { method: "POST", body: content });
  } catch {
    throw new Error("The server does not answer. Is `isthmus explore` still running?");
  }
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({ error: `Error ${response.status}` }));
    throw new Error(error);
  }
  return response.arrayBuffer();
}

/** Ask for something; resolves to {header, bytes}, and rejects with the server's own words. */
export async function call(name, body = {}, { raw = null, query = "" } = {}) {
  const ask = globalThis.isthmusAsk ?? askServer; // see kernel.js
  return unframe(await ask(name, body, raw, query));
}

/** Return a function that keeps one request in flight and, of those asked meanwhile, only the latest. */
export function latest(name, onAnswer, onError) {
  let busy = false;
  let waiting = null;
  async function send(body) {
    if (busy) {
      waiting = body;
      return;
    }
    busy = true;
    try {
      onAnswer(await call(name, body), body);
    } catch (error) {
      onError(error);
    }
    busy = false;
    if (waiting) {
      const next = waiting;
      waiting = null;
      send(next);
    }
  }
  return send;
}
