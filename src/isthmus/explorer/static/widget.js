// The widget of a notebook: a frame with the explorer's page. What the page asks for goes to the kernel as messages.

let views = 0;

function render({ model, el }) {
  const view = `${Date.now()}-${(views += 1)}`;
  const frame = document.createElement("iframe");
  frame.title = "isthmus explorer";
  frame.sandbox.add("allow-scripts", "allow-downloads"); // a separate origin: the frame cannot reach the notebook
  frame.style.cssText = `width: 100%; height: ${model.get("height")}px; border: 0; display: block; color-scheme: normal`;
  frame.srcdoc = model.get("page");
  const ask = ({ source, data }) => {
    if (source !== frame.contentWindow || typeof data?.number !== "number") return;
    const { number, name, body, query, raw } = data;
    model.send({ view, number, name, body, query }, undefined, raw ? [raw] : []);
  };
  const answer = (content, buffers) => {
    if (content.view !== view) return;
    const [found] = buffers ?? [];
    const bytes = found ? new Uint8Array(found.buffer ?? found, found.byteOffset ?? 0, found.byteLength).slice().buffer : null;
    frame.contentWindow?.postMessage({ number: content.number, error: content.error, bytes }, "*");
  };
  addEventListener("message", ask);
  model.on("msg:custom", answer);
  el.replaceChildren(frame);
  return () => {
    removeEventListener("message", ask);
    model.off("msg:custom", answer);
  };
}

export default { render };
