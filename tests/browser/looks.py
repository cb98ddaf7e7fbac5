"""Code that browser tests run in an explorer's page to find faults, overlaps, and what lies beside what; pictures."""

import io
from pathlib import Path

import axe_playwright_python
from PIL import Image

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
FAULTS = """async () => (await axe.run('.wb-explorer', {resultTypes: ['violations']})).violations
  .filter(v => ['serious', 'critical'].includes(v.impact)).map(v => `${v.id}: ${v.nodes.map(n => n.html).join(' ')}`)"""
# Words whose boxes overlap by more than the rim of a line, as far as they are seen, and those that a figure cuts off.
OVERLAPS = """() => {
  const clip = (box, by) => ({left: Math.max(box.left, by.left), right: Math.min(box.right, by.right),
    top: Math.max(box.top, by.top), bottom: Math.min(box.bottom, by.bottom)});
  const kinds = ':is(svg text, h2, h3, p, label, button, select, .wb-exact)';
  const texts = [...document.querySelectorAll(`.wb-explorer ${kinds}`)]
    .filter(e => (e.textContent.trim() || e.value) && e.checkVisibility()).map(e => {
      const box = e.getBoundingClientRect(), side = e.closest('.wb-side')?.getBoundingClientRect();
      return {e, words: (e.textContent || e.value).slice(0, 40), box: side ? clip(box, side) : box};
    }).filter(({box}) => box.right - box.left > 1 && box.bottom - box.top > 1);
  const found = [];
  texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
    if (a.e.contains(b.e) || b.e.contains(a.e)) return;
    const both = clip(a.box, b.box);
    if (both.right - both.left > 2 && both.bottom - both.top > 4) found.push(`“${a.words}” on “${b.words}”`);
  }));
  for (const {e, words, box} of texts) {
    const plot = e.closest('.wb-plot')?.getBoundingClientRect();
    if (plot && (box.left < plot.left - 3 || box.right > plot.right + 3)) found.push(`“${words}” is cut off`);
  }
  return found;
}"""
# For each slider in hand: how much of the first figure is seen beside it, once the reader has scrolled to that figure.
BESIDE = """() => {
  const plot = document.querySelector('.wb-plot');
  let scroller = plot.parentElement;
  while (scroller.parentElement && !(/auto|scroll/.test(getComputedStyle(scroller).overflowY)
    && scroller.scrollHeight > scroller.clientHeight)) scroller = scroller.parentElement;
  const page = scroller === document.documentElement;
  const room = page ? {top: 0, bottom: innerHeight} : scroller.getBoundingClientRect();
  scroller.scrollTop += plot.getBoundingClientRect().top - room.top - 40; // its heading is seen too
  return [...document.querySelectorAll('.wb-side input[type=range]')].map(slider => {
    slider.focus();
    const figure = plot.getBoundingClientRect(), hand = slider.getBoundingClientRect();
    const seen = Math.min(figure.bottom, room.bottom) - Math.max(figure.top, room.top);
    const beside = hand.right <= figure.left && hand.top >= room.top && hand.bottom <= room.bottom;
    return [slider.dataset.name, beside ? seen / figure.height : 0];
  });
}"""


def pictured(what, path):
    """A picture of a page or of a part of it for the README, of 256 colours: a third of the bytes."""
    picture = Image.open(io.BytesIO(what.screenshot())).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
