// Draws the figures of published notebooks, each where it stands, once it comes near the window, in the page's ink; and
// lets a keyboard scroll what is wider than the window.

(() => {
  const INK = "#808080"; // of the published figures; the page's own colour takes its place
  const library = new URL("plotly.min.js", document.currentScript.src).href;
  const ink = () => getComputedStyle(document.body).color;

  const reach = () => {
    for (const node of document.querySelectorAll("pre, .table-wrapper, .cell_output, .formula"))
      if (node.scrollWidth > node.clientWidth && getComputedStyle(node).overflowX !== "visible") node.tabIndex = 0;
  };
  const begin = () => {
    reach();
    addEventListener("resize", reach);
    const plots = [...document.querySelectorAll(".plot")];
    if (!plots.length) return;
    const shown = new Set();
    const draw = (plot) => {
      const text = plot.nextElementSibling.textContent.replaceAll(`"${INK}"`, JSON.stringify(ink()));
      const { data, layout } = JSON.parse(text);
      delete layout.template;
      const clear = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true };
      const font = { ...layout.font, color: ink() };
      const config = { responsive: true, displayModeBar: false };
      globalThis.Plotly.react(plot, data, { ...layout, ...clear, font, width: undefined }, config);
      shown.add(plot);
    };
    const again = () => shown.forEach(draw);
    const watch = () => {
      const near = new IntersectionObserver(
        (entries) => {
          for (const { isIntersecting, target } of entries)
            if (isIntersecting) {
              near.unobserve(target);
              draw(target);
            }
        },
        { rootMargin: "600px" },
      );
      plots.forEach((plot) => near.observe(plot));
      new MutationObserver(again).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
      addEventListener("beforeprint", () => plots.filter((plot) => !shown.has(plot)).forEach(draw));
    };
    const script = document.createElement("script");
    script.src = library;
    script.onload = watch;
    document.head.append(script);
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
