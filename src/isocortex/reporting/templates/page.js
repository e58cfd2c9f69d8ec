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

  // A saved figure is for white paper: the light colours, which stand beside each variable, and the fonts of the page.
  const space = "http://www.w3.org/2000/svg", gap = 16, widest = 1000;
  const fixed = (style) => style.replace(/var\(--([\w-]+)(?:,\s*([^()]*))?\)/g, (_, name, other) =>
    other?.startsWith("#") ? other : getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || other);
  const set = (element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
  const drawn = (figure) => {
    const sheet = document.createElementNS(space, "svg"), paper = document.createElementNS(space, "rect");
    let x = 0, y = 0, right = 0, below = 0;
    sheet.append(paper);
    figure.querySelectorAll("svg").forEach((panel) => {
      const [, , width, height] = panel.getAttribute("viewBox").split(" ").map(Number), copy = panel.cloneNode(true);
      if (x && x + width > widest) [x, y] = [0, below + gap];
      copy.removeAttribute("style");
      set(copy, { x, y, width, height });
      [copy, ...copy.querySelectorAll("*")].forEach((element) => ["style", "fill", "stroke"].forEach((name) =>
        element.hasAttribute(name) && element.setAttribute(name, fixed(element.getAttribute(name)))));
      sheet.append(copy);
      [right, below, x] = [Math.max(right, x + width), Math.max(below, y + height), x + width + gap];
    });
    set(paper, { width: "100%", height: "100%", fill: "#fff" });
    set(sheet, { width: right, height: below, viewBox: `0 0 ${right} ${below}` });
    // Labels may hold characters that no XML may.
    const text = new XMLSerializer().serializeToString(sheet).replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "");
    return { text, width: right, height: below };
  };
  const svg = async ({ text }) => new Blob([text], { type: "image/svg+xml" });
  const png = ({ text, width, height }) => new Promise((done, failed) => {
    const image = new Image(), canvas = document.createElement("canvas");
    image.onload = () => {
      [canvas.width, canvas.height] = [Math.ceil(2 * width), Math.ceil(2 * height)];
      const pen = canvas.getContext("2d");
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, 2 * width, 2 * height);
      canvas.toBlob(done, "image/png");
    };
    image.onerror = failed;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  });
  const formats = { svg, png };
  document.querySelectorAll("[data-save]").forEach((button) => button.addEventListener("click", async () => {
    const figure = button.closest("figure"), ending = button.dataset.save, link = document.createElement("a");
    const names = [document.querySelector("main").dataset.name, figure.id].filter(Boolean);
    try {
      link.href = URL.createObjectURL(await formats[ending](drawn(figure)));
      link.download = `${names.join("-").replace(/[^\w.-]+/g, "-")}.${ending}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch {
      button.textContent = "not saved";
    }
  }));
})();
