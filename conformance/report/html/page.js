// What the page can do: filter, follow links, copy a line, use keys. Data is read from the page and
// never written as HTML.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);
  const form = one("#filter");
  const items = all(".item");
  const groups = all(".group");
  const counted = one("tr.item") ? items.filter((item) => item.tagName === "TR") : items;
  const words = new Map(); // of each item, made when first searched

  document.body.classList.add("alive");
  for (const hidden of [form, ...all(".copy, .keys")]) hidden.hidden = false;

  // Filter

  const text = (item) => words.get(item) ?? words.set(item, item.textContent.toLowerCase()).get(item);

  function filter() {
    const chosen = new FormData(form);
    const asked = String(chosen.get("words")).toLowerCase().split(/\s+/).filter(Boolean);
    const [statuses, levels, section] = [chosen.getAll("status"), chosen.getAll("level"), chosen.get("section")];
    for (const item of items) {
      const { status, level, section: number } = item.dataset;
      item.hidden = !(
        (!statuses.length || status.split("|").some((each) => statuses.includes(each))) &&
        (!levels.length || levels.includes(level)) &&
        (!section || section === number) &&
        (!chosen.has("differs") || item.tagName !== "TR" || "differs" in item.dataset) &&
        asked.every((word) => text(item).includes(word))
      );
    }
    for (const group of groups) {
      const own = all(".item", group);
      group.hidden = own.length > 0 && own.every((item) => item.hidden);
    }
    const shown = counted.filter((item) => !item.hidden).length;
    const output = one("output", form);
    output.textContent = output.dataset.text.replace("{shown}", shown).replace("{all}", counted.length);
    one("#nothing").hidden = items.some((item) => !item.hidden);
  }

  function clear() {
    form.reset();
    filter();
  }

  // What a link leads to is not to stand under the filter, whose height depends on the window.
  function leaveRoom() {
    const covers = getComputedStyle(form).position === "sticky";
    document.documentElement.style.scrollPaddingTop = `${covers ? form.offsetHeight + 8 : 8}px`;
  }

  addEventListener("resize", leaveRoom);

  form.addEventListener("input", filter);
  one("#clear").addEventListener("click", clear);
  form.addEventListener("submit", (event) => event.preventDefault());

  const toggle = one("#open");
  toggle.addEventListener("click", () => {
    const opening = !("opened" in toggle.dataset);
    for (const item of items) if (!item.hidden && item.tagName === "DETAILS") item.open = opening;
    toggle.toggleAttribute("data-opened", opening);
    [toggle.textContent, toggle.dataset.other] = [toggle.dataset.other, toggle.textContent];
  });

  // Links

  function follow() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { return; }
    const item = document.getElementById(name) ?? document.getElementById(name.toUpperCase());
    if (!item) return;
    if (item.hidden || item.closest("[hidden]")) clear();
    if (item.tagName === "DETAILS") item.open = true;
    leaveRoom();
    item.scrollIntoView();
    if (item.matches(".item")) handle(item).focus({ preventScroll: true });
  }

  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link && link.hash && link.hash === location.hash) follow(); // once more, which changes no hash
  });

  // Copying

  async function copy(button) {
    const line = one("code", button.parentElement);
    try {
      await navigator.clipboard.writeText(line.textContent);
    } catch { // no clipboard for this page: select the line, and let the browser copy what is selected
      getSelection().selectAllChildren(line);
      if (!document.execCommand("copy")) return;
    }
    const notice = one("#copied");
    notice.hidden = false;
    clearTimeout(copy.timer);
    copy.timer = setTimeout(() => { notice.hidden = true; }, 1800);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy");
    if (button) copy(button);
  });

  // Timelines: a bar and its line in the list are shown together

  function pair(target) {
    const figure = target.closest("figure.timeline");
    if (!figure) return null;
    const bar = target.closest("rect") ?? null;
    const fact = target.closest(".facts > li");
    if (bar) return { figure, bar, fact: one(".facts", figure).children[bar.dataset.n] };
    if (fact) return { figure, fact, bar: one(`rect[data-n="${[...fact.parentElement.children].indexOf(fact)}"]`, figure) };
    return null;
  }

  document.addEventListener("pointerover", (event) => {
    const found = pair(event.target);
    if (!found) return;
    for (const lit of all(".on", found.figure)) lit.classList.remove("on");
    found.bar?.classList.add("on");
    found.fact.classList.add("on");
    one(".hint", found.figure).textContent = [...found.fact.children].map((part) => part.textContent).join("  ");
  });

  document.addEventListener("click", (event) => {
    if (event.target.tagName !== "rect") return;
    const found = pair(event.target);
    one(".reading", found.figure).open = true;
    found.fact.scrollIntoView({ block: "nearest" });
  });

  // Keys

  const handle = (item) => one("summary, th a", item);

  function go(step, wanted = () => true) {
    const seen = items.filter((item) => !item.hidden && !item.closest("[hidden]"));
    const at = seen.indexOf(document.activeElement.closest(".item"));
    const next = (step > 0 ? seen.slice(at + 1) : seen.slice(0, at < 0 ? 0 : at).reverse()).find(wanted);
    if (!next) return;
    handle(next).focus();
    next.scrollIntoView({ block: "nearest" });
  }

  const failed = (item) => /FAIL|ERROR/.test(item.dataset.status);
  const keys = {
    "/": () => form.elements.words.focus(),
    j: () => go(1),
    k: () => go(-1),
    n: () => go(1, failed),
    N: () => go(-1, failed),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    if (target === form.elements.words) {
      if (event.key === "Escape") { target.value = ""; filter(); target.blur(); }
      return;
    }
    if (target.matches("input[type=search], select, textarea")) return;
    const item = target.closest(".item");
    if (item && target === handle(item) && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      go(event.key === "ArrowDown" ? 1 : -1);
    } else if (keys[event.key] && one("#keys").checked) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  filter();
  leaveRoom();
  addEventListener("load", follow); // not before: the browser goes to the fragment itself first, and takes the focus away
})();
