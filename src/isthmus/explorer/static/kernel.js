// In a notebook: requests are messages to the frame's parent, which passes them to the kernel.
globalThis.isthmusAsk = (() => {
  const waiting = new Map();
  let last = 0;
  addEventListener("message", ({ source, data }) => {
    if (source !== parent || !waiting.has(data?.number)) return;
    const { resolve, reject } = waiting.get(data.number);
    waiting.delete(data.number);
    if (data.error) reject(new Error(data.error));
    else resolve(data.bytes);
  });
  return async (name, body, raw, query) => {
    const bytes = raw === null ? null : new Uint8Array(await new Blob([raw]).arrayBuffer());
    const number = (last += 1);
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject });
      const asked = Object.fromEntries(new URLSearchParams(query));
      parent.postMessage({ number, name, body: JSON.stringify(body), query: asked, raw: bytes }, "*");
    });
  };
})();
