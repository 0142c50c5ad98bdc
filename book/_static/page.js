// Equations that are wider than their column are set smaller, down to LEAST of their
// size, and on paper as small as it takes; paper is white, whatever the screen is.
(() => {
  const LEAST = 0.75;
  const PAPER = 640; // CSS pixels between the margins of A4

  const fit = (least, column) => {
    const boxes = [...document.querySelectorAll('mjx-container[display="true"]')];
    for (const box of boxes) box.style.fontSize = "";
    const sizes = boxes.map((box) => {
      const wide = box.querySelector("svg")?.getBoundingClientRect().width ?? 0;
      return (column ?? box.clientWidth) / wide;
    });
    boxes.forEach((box, i) => {
      if (sizes[i] < 1) box.style.fontSize = `${100 * Math.max(least, 0.98 * sizes[i])}%`;
    });
  };

  const root = document.documentElement;
  let theme;
  const toPaper = () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    fit(0, PAPER);
  };
  const toScreen = () => {
    root.dataset.theme = theme;
    fit(LEAST);
  };

  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  addEventListener("resize", () => fit(LEAST));
  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    fit(LEAST);
  });
})();
