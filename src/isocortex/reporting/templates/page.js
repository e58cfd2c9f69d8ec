"use strict";
(() => {
  const value = (row, column, numeric) => {
    const text = row.children[column].dataset.value ?? "";
    return text === "" ? null : numeric ? Number(text) : text;
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const was = head.getAttribute("aria-sort");
      const sign = was === null ? (numeric && column > 0 ? -1 : 1) : was === "ascending" ? -1 : 1;
      const order = (a, b) => {
        const x = value(a, column, numeric), y = value(b, column, numeric);
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (numeric ? x - y : x.localeCompare(y, undefined, { numeric: true }));
      };
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    }));
  });
  const tip = document.getElementById("tip");
  const show = (event) => {
    const owner = event.target.closest?.("[data-tip]");
    tip.hidden = !owner;
    if (!owner) return;
    tip.textContent = owner.dataset.tip;
    const box = owner.getBoundingClientRect(), x = event.clientX ?? box.left, y = event.clientY ?? box.bottom;
    tip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 16 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 12 : y + 16}px`;
  };
  document.addEventListener("mousemove", show);
  document.addEventListener("focusin", show);
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(source);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected";
    }
  }));
})();
