// Streamlit's own texts in the chosen language. `data` is a list of one {pairs: [[English, translation], ...], kept: {name, value}
// of the cookie that keeps that language}; in a pair,
// {name} stands for any words. Without pairs everything reads again as Streamlit wrote it, and nothing is watched.
const ATTRIBUTES = ["aria-label", "title", "placeholder", "alt"];
const MARKED = ATTRIBUTES.map((name) => `[${name}]`).join(",");
// What people and models wrote is theirs; the button of a file upload says its own words as Markdown.
const CONTENT = '[data-testid="stMarkdownContainer"]:not([data-testid="stFileUploaderDropzone"] *), [data-testid="stText"], pre, code, textarea, iframe, script, style';

function rule([english, translation]) {
  const [before, name, after] = english.split(/\{(\w+)\}/);
  return (text) =>
    text.length > before.length + after.length && text.startsWith(before) && text.endsWith(after)
      ? translation.replace(`{${name}}`, () => text.slice(before.length, text.length - after.length))
      : undefined;
}

function translator(pairs) {
  const exact = new Map(pairs.filter(([english]) => !english.includes("{")));
  const rules = pairs.filter(([english]) => english.includes("{")).map(rule);
  return (text) => exact.get(text) ?? rules.reduce((found, each) => found ?? each(text), undefined);
}

function begin(pairs) {
  const changed = [];
  const translate = translator(pairs);
  const attribute = (element, name) => {
    const text = element.getAttribute(name);
    const shown = text && translate(text.trim());
    if (!shown || shown === text) return;
    element.setAttribute(name, shown);
    note({ element: new WeakRef(element), name, text, shown });
  };
  const words = (node) => {
    const shown = translate(node.data.trim());
    if (!shown || node.parentElement?.closest(CONTENT)) return;
    note({ node: new WeakRef(node), text: node.data, shown });
    node.data = shown;
  };
  const note = (change) => {
    changed.push(change);
    if (changed.length > 2000) changed.splice(0, 1000);
  };
  const all = (root) => {
    if (root.nodeType === Node.TEXT_NODE) return words(root);
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    for (const element of [root, ...root.querySelectorAll(MARKED)]) ATTRIBUTES.forEach((name) => attribute(element, name));
    if (root.closest(CONTENT)) return;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, (node) =>
      node.nodeType === Node.TEXT_NODE ? NodeFilter.FILTER_ACCEPT
        : node.matches(CONTENT) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP);
    while (walker.nextNode()) words(walker.currentNode);
  };
  const observer = new MutationObserver((mutations) => {
    for (const { type, target, attributeName, addedNodes } of mutations) {
      if (type === "attributes") attribute(target, attributeName);
      else if (type === "characterData") words(target);
      else addedNodes.forEach(all);
    }
  });
  all(document.body);
  observer.observe(document.body, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
  });
  return () => {
    observer.disconnect();
    for (const { element, node, name, text, shown } of changed) {
      if (element?.deref()?.getAttribute(name) === shown) element.deref().setAttribute(name, text);
      if (node?.deref()?.data === shown) node.deref().data = text;
    }
  };
}

export default function ({ data: [{ pairs, kept }] }) {
  if (kept.value) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `${kept.name}=${kept.value}; path=/; max-age=31536000; samesite=lax${secure}`;
  }
  const asked = JSON.stringify(pairs);
  const now = window.codecoachBuiltIn;
  if (now?.asked === asked) return;
  now?.end();
  window.codecoachBuiltIn = { asked, end: pairs.length ? begin(pairs) : () => {} };
}
