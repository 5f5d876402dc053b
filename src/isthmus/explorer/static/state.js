// What the page shows, and its address: everything that can be shared is in the part after "#".

/** Values of the address, by short names. Codes have four decimals. */
export function readAddress(hash = location.hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (key) => (found.has(key) && Number.isFinite(Number(found.get(key))) ? Number(found.get(key)) : null);
  const numbers = (key) => (found.get(key) ?? "").split(",").filter(Boolean).map(Number);
  return {
    x: number("x"),
    y: number("y"),
    code: numbers("z").every(Number.isFinite) ? numbers("z") : [],
    view: numbers("view").length === 3 && numbers("view").every(Number.isFinite) ? numbers("view") : null,
    colour: found.get("colour"),
    label: number("label"),
    given: new Map([...found].flatMap(([key, value]) => (key.startsWith("given.") ? [[key.slice(6), value]] : []))),
    point: number("point"),
    other: number("to"),
    tab: found.get("tab"),
    off: numbers("off"),
    find: found.get("find") ?? "",
  };
}

/** Write the address of a view, without a new entry in the browser's history. */
export function writeAddress(view) {
  const parts = new URLSearchParams();
  const short = (value) => String(Math.round(value * 1e4) / 1e4);
  const put = (key, value) => {
    if (value !== null && value !== undefined && value !== "") parts.set(key, value);
  };
  put("x", view.x);
  put("y", view.y);
  put("z", view.code.map(short).join(","));
  put("view", view.view?.map(short).join(","));
  put("colour", view.colour);
  if (typeof view.condition === "number") put("label", view.condition);
  else for (const [name, value] of Object.entries(view.condition ?? {})) put(`given.${name}`, value);
  put("point", view.point);
  put("to", view.other);
  put("tab", view.tab);
  put("off", view.off?.join(","));
  put("find", view.find);
  if (location.protocol === "about:") return; // in a cell of a notebook, which has no address
  history.replaceState(null, "", `#${parts.toString().replaceAll("%2C", ",")}`);
}
