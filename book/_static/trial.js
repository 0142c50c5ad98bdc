// Filters of the sources on trial: by source, by chapter, by verdict.
document.addEventListener("DOMContentLoaded", () => {
  const cards = [...document.querySelectorAll(".trial")];
  const counts = document.querySelector(".trial-counts");
  if (!cards.length || !counts) return;
  const valueOf = (card, kind) =>
    [...card.classList].find((c) => c.startsWith(`${kind}-`)).slice(kind.length + 1);
  const bar = document.createElement("div");
  bar.className = "trial-filter";
  const shown = document.createElement("output");
  const menus = ["source", "chapter", "verdict"].map((kind) => {
    const label = document.createElement("label");
    const menu = document.createElement("select");
    const values = [...new Set(cards.map((card) => valueOf(card, kind)))];
    if (kind !== "verdict") values.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    menu.append(new Option("all", ""), ...values.map((v) => new Option(v.replaceAll("-", " "), v)));
    menu.addEventListener("change", show);
    label.append(`${kind} `, menu);
    bar.append(label);
    return { kind, menu };
  });
  function show() {
    for (const card of cards)
      card.hidden = menus.some(({ kind, menu }) => menu.value && menu.value !== valueOf(card, kind));
    shown.textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length} claims`;
  }
  bar.append(shown);
  counts.after(bar);
  show();
});
