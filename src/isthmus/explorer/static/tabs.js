// Tabs, as the ARIA Authoring Practices describe them: arrow keys move between them.

import { element } from "./rows.js";

export class Tabs {
  /** `names` is an object of texts by name. */
  constructor(list, panels, names, onShow) {
    this.onShow = onShow;
    this.tabs = new Map();
    for (const [name, text] of Object.entries(names)) {
      const tab = element("button", { type: "button", id: `tab-${name}`, textContent: text });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", `panel-${name}`);
      const panel = element("div", { id: `panel-${name}` });
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", () => this.show(name));
      tab.addEventListener("keydown", (event) => this.key(event, name));
      list.append(tab);
      panels.append(panel);
      this.tabs.set(name, { tab, panel });
    }
  }

  panel(name) {
    return this.tabs.get(name).panel;
  }

  show(name) {
    if (!this.tabs.has(name)) return;
    this.current = name;
    for (const [other, { tab, panel }] of this.tabs) {
      tab.setAttribute("aria-selected", String(other === name));
      tab.tabIndex = other === name ? 0 : -1;
      panel.hidden = other !== name;
    }
    this.onShow(name);
  }

  key(event, name) {
    const names = [...this.tabs.keys()];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = names[(names.indexOf(name) + step + names.length) % names.length];
    this.show(next);
    this.tabs.get(next).tab.focus();
    event.preventDefault();
  }
}
