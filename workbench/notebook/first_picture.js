// After Run All JupyterLab stands at the last cell. This brings the reader to the first picture instead, once, as soon
// as it is drawn, unless he has moved on the page since.

const PATIENCE = 60000; // milliseconds for the first picture to be drawn
const MOVES = ["wheel", "keydown", "pointerdown", "touchstart"];

export default {
  render({ el }) {
    const visible = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook";
    const notebook = () => el.closest(".jp-Notebook") ?? document.querySelector(visible);
    const scroller = () => notebook()?.querySelector(".jp-WindowedPanel-outer") ?? notebook();
    const began = Date.now();
    let returned = false;
    const stop = () => {
      clearInterval(timer);
      for (const move of MOVES) removeEventListener(move, stop, true);
    };
    const look = () => {
      const frame = scroller()?.getBoundingClientRect();
      if (!frame || Date.now() - began > PATIENCE) return stop();
      const here = el.getBoundingClientRect();
      const near = el.isConnected && here.bottom >= frame.top && here.top <= frame.bottom;
      if (near && !returned) return; // he stands at this cell: it was not Run All
      const figure = notebook().querySelector(".js-plotly-plot .main-svg");
      if (!figure) {
        if (!el.isConnected) scroller().scrollTop = 0; // cells that are out of sight may not be on the page
        return;
      }
      const output = figure.closest(".jp-OutputArea-output") ?? figure;
      const fits = output.getBoundingClientRect().height < frame.height;
      output.scrollIntoView({ block: fits ? "center" : "start" });
      returned = true;
      if (!document.querySelector(".jp-Notebook-ExecutionIndicator[data-status='busy']")) stop();
    };
    const timer = setInterval(look, 250);
    for (const move of MOVES) addEventListener(move, stop, true);
    return stop;
  },
};
