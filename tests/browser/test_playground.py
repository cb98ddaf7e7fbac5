"""The playground as a reader meets it, and its nets held to PyTorch's: outputs, gradients, what was changed in them."""

import copy
import csv
import itertools
import os
import statistics
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
import torch
from browser.looks import pictured
from torch import nn

from workbench.analysis import interventions
from workbench.errors import ParameterError
from workbench.notebook.explorers.trained_nets import trained_net
from workbench.notebook.explorers.weights import folded, packed
from workbench.notebook.site.playground import write_playground
from workbench.notebook.site.playground.page import readers
from workbench.runs.pretrained import names, pretrained
from workbench.tasks import pixels, spec

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.filterwarnings("ignore")]  # playwright's own warnings
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
FAULTS = "async () => (await axe.run()).violations.map(v => `${v.id}: ${v.nodes.map(n => n.html).join(' ')}`)"
MNIST = readers()[0][0]
NETS = (MNIST, "seqdigits_plain6", "adding_indrnn_T100", "seqdigits_lstm", "seqdigits_rnn_tanh")
PICTURES = Path(os.environ.get("PICTURES", ""))
SCREENS = [(390, 844, "light"), (390, 844, "dark"), (1440, 900, "light"), (1440, 900, "dark")]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_playground(tmp_path_factory.mktemp("playground")).as_uri()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce", has_touch=True)
    page = context.new_page()
    page.complaints, page.asked = [], []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda request: page.asked.append(request.url))
    opened(page, address)
    yield page
    context.close()
    assert page.complaints == []
    assert [url for url in page.asked if not url.startswith(("file:", "blob:", "data:"))] == []


def opened(page, address):
    page.goto("about:blank")
    page.goto(address)
    answered(page)


def answered(page):
    """The newest question, asked in the next frame at the latest, has its answer on the screen."""
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    page.wait_for_function("document.body.dataset.turn === String(turn)", timeout=60_000)


def linked(page):
    """The address, once it holds what is seen."""
    page.wait_for_timeout(400)
    return page.evaluate("location.href")


def close(found, wanted, name, terms=0.0):
    """`terms`: the largest number in the sum that was found."""
    wanted = wanted.detach().double().numpy().ravel()
    error, largest = np.abs(np.asarray(found, dtype=np.float64) - wanted).max(), max(np.abs(wanted).max(), terms)
    assert error <= 1e-5 * max(1.0, largest), f"{name}: {error:.2g} apart of {largest:.2g}"


BACK = """([packed, x, T, B, g]) => {
  const net = unpacked(packed), run = forward(net, Float32Array.from(x), T, B);
  const {x: into, layers, readout} = backward(net, run, Float32Array.from(g));
  const plain = (part) => Object.fromEntries(Object.entries(part).map(([name, values]) => [name, Array.from(values)]));
  return {out: Array.from(run.out), x: Array.from(into), layers: layers.map(plain), readout: plain(readout)};
}"""


@pytest.mark.parametrize("name", NETS)
def test_outputs_and_gradients_are_those_of_pytorch(page, name, rng):
    """The gradient of random sums of the answers, for every weight and every input, of two test examples: the first of
    twenty at which no neuron is so near its kink that PyTorch itself has another gradient in single precision."""
    of = trained_net(name)
    net, (T, B, K) = net_of(name), (spec(of.config.task).steps, 2, spec(of.config.task).outputs)
    twin = _double(net)
    x, g = of.batch(20).x.double(), torch.randn(20, K, generator=rng)
    single, double = (_of_input(each, x.to(kind), g) for each, kind in ((net, torch.float32), (twin, torch.float64)))
    apart = (single - double).abs().amax((0, 2)) / double.abs().amax((0, 2)).clamp(min=1)
    chosen = (apart < 5e-6).nonzero().flatten()[:B]
    x, g = x[:, chosen].contiguous(), g[chosen]
    found = page.evaluate(BACK, [packed(net), x.flatten().tolist(), T, B, g.flatten().tolist()])
    x.requires_grad_()
    out = twin(x)
    (out * g).sum().backward()
    close(found["out"], out, "answers")
    close(found["x"], x.grad, "gradient of the input")
    if of.config.model.has_u:
        norm = None
        for layer, arrays in zip(twin.layers, found["layers"], strict=True):
            close(arrays["u"], layer.u.grad, "gradient of u")
            _unfolded_close(arrays, layer.fc, norm, "gradient of W")
            close(arrays["b"], layer.fc.bias.grad, "gradient of b")
            norm = layer.bn
        _unfolded_close(found["readout"], twin.readout, norm, "gradient of the readout")
    else:
        (arrays,) = found["layers"]
        for mine, theirs in (("W", "weight_ih_l0"), ("R", "weight_hh_l0"), ("b", "bias_ih_l0")):
            close(arrays[mine], getattr(twin.rnn, theirs).grad, f"gradient of {theirs}")
        close(found["readout"]["W"], twin.readout.weight.grad, "gradient of the readout")


def _of_input(net, x, g):
    """The gradient of sums of the answers by x (T, B, inputs), in double precision."""
    x = x.detach().clone().requires_grad_()
    (net.eval()(x) * g).sum().backward()
    net.zero_grad()
    return x.grad.double()


def net_of(name):
    """The net that the page has, where it has it."""
    return pretrained(name) if name in names() else trained_net(name).net


def _double(net):
    """The same net in double precision; its weights rounded as they are."""
    return copy.deepcopy(net).double().eval()


def _unfolded_close(arrays, linear, norm, name):
    """The gradient of W, g s + (gradient of b) c, from those of the folded W s and b + W c; both may cancel."""
    g, of_mean = np.asarray(arrays["W"]).reshape(linear.weight.shape), np.zeros(1)
    if norm is not None:
        s = (norm.weight * (norm.running_var + norm.eps).rsqrt()).detach().numpy()
        c = norm.bias.detach().numpy() - norm.running_mean.numpy() * s
        g, of_mean = g * s, np.outer(arrays["b"], c)
    close((g + of_mean).ravel(), linear.weight.grad, name, max(np.abs(g).max(), np.abs(of_mean).max()))


READ = """([name, x, edit]) => {
  const net = pictures.flatMap(({nets}) => nets).find((net) => net.name === name);
  return Array.from(new Reader(net).read(Float32Array.from(x), edit).probabilities.slice(-10));
}"""


def test_a_changed_net_answers_as_pytorch_does(page):
    net, x = net_of("seqdigits_plain6"), trained_net("seqdigits_plain6").batch(1).x
    read = lambda **edit: page.evaluate(READ, ["seqdigits_plain6", x.flatten().tolist(), edit])  # noqa: E731
    plain = read()
    close(plain, net(x).softmax(1), "as trained")
    for u in (0.3, -0.9):
        with interventions.edited(net, 3, 11, u):
            close(read(layer=3, neuron=11, u=u), net(x).softmax(1), f"u = {u}")
    twin = _double(net)
    for values in (twin.layers[3].fc.weight.data, twin.layers[3].fc.bias.data):
        values[11] = 0  # its state stays 0
    close(read(layer=3, neuron=11, silent=True), twin(x.double()).softmax(1), "silent")
    twin = _double(net)
    for layer in twin.layers:
        layer.u.data.clamp_(-0.5, 0.5)
    bounded = read(bound=0.5)
    close(bounded, twin(x.double()).softmax(1), "bounded")
    close(read(cut=20), net(x[20:]).softmax(1), "cut")
    assert max(abs(a - b) for a, b in zip(bounded, plain, strict=True)) > 0.01, "a bound of 0.5 is felt"


def test_where_pytorch_has_no_number_the_page_has_none(page):
    """One neuron explodes to infinity, and the layers above take infinity from infinity."""
    net, numbers = net_of(MNIST), page.evaluate("Array.from(x)")
    x, told = torch.tensor(numbers)[:, None, None], set()
    for layer, neuron in itertools.product((2, 4), range(0, 128, 32)):
        with interventions.edited(net, layer, neuron, 1.2), torch.no_grad():
            wanted = net(x).softmax(1)
        found = page.evaluate(READ, [MNIST, numbers, {"layer": layer, "neuron": neuron, "u": 1.2}])
        told.add(lost := bool(wanted.isnan().any()))
        assert np.isnan(found).any() == lost, (layer, neuron)
        if not lost:
            close(found, wanted, (layer, neuron))
    assert told == {True, False}


def test_what_is_tried_is_done_to_the_drawing_that_is_there_and_the_address_follows(page):
    pad = page.locator("#pad")
    pad.press("Delete")
    for key in ("ArrowUp",) * 7 + ("Space",) + ("ArrowDown",) * 14 + ("Space",):
        pad.press(key)
    page.locator("#length").press("End")
    answered(page)
    drawn = page.evaluate("view.strokes")
    page.get_by_role("link", name="a memory of 16 pixels").click()
    answered(page)
    assert page.evaluate("[view.bound, view.strokes, learning.length]") == [5, drawn, 6]
    assert all(part in linked(page) for part in ("bound=5", "drawn=", "length=6"))
    page.get_by_role("link", name="nothing changed").click()
    answered(page)
    assert page.evaluate("[view.bound, view.strokes, learning.length]") == [11, drawn, 6]
    page.evaluate("play()")
    page.wait_for_function("view.step > 5")
    page.get_by_role("button", name="Pause").click()
    step = page.evaluate("view.step")
    assert f"step={step}" in linked(page)
    assert f"after {step} of 784 pixels it reads" in page.locator("#traces canvas").get_attribute("aria-label")
    page.locator("#traces canvas").click(position={"x": 400, "y": 250})
    assert page.evaluate("view.step") != step
    assert f"step={page.evaluate('view.step')}" in linked(page)


def test_what_is_not_certain_is_not_called_so(page):
    told = page.evaluate("[0, 0.0003, 0.003, 0.5, 0.997, 0.99951, 1 - 1e-5, 1].map(percent)")
    assert told == ["0 %", "<0.1 %", "0.3 %", "50 %", "99.7 %", ">99.9 %", ">99.9 %", "100 %"]
    last = page.locator("#bars output").last
    last.evaluate("e => { e.textContent = '>99.9 %'; e.parentElement.className = 'bar first'; }")
    assert last.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "the longest of them has its place"


def test_a_neuron_with_a_negative_u_has_no_memory(page):
    """Its next state is relu(u h), so 0: it stands among the shortest memories, and nothing says that it keeps any."""
    assert page.evaluate("[-1.2, -0.9, 0].map(fades)") == ["it is gone at the next step"] * 3
    assert page.evaluate("byMemory([0.5, -0.9, 0.2])") == [1, 2, 0]
    page.locator("#u").press("Home")
    answered(page)
    assert page.locator("#u-value").inner_text() == "u = -1.200: left alone it is gone at the next step"


def test_where_nothing_is_left_to_train_the_page_says_so(page):
    train, said = page.locator("#train"), page.locator("#learned")
    for name in ("IndRNN", "LSTM", "RNN-tanh"):
        page.get_by_label(name, exact=True).uncheck()
    page.wait_for_function("element('learned').textContent.includes('No net is chosen')")
    assert train.is_disabled()
    page.get_by_role("button", name="Another start").click()
    assert train.inner_text() == "Train"
    page.get_by_label("LSTM", exact=True).check()
    train.click()
    page.wait_for_function("learning.nets.lstm?.steps > 0")
    page.evaluate("learning.nets.lstm.worker.onmessage({data: {steps: LAST, rows: [], error: 1}})")
    assert train.is_disabled()
    assert not page.evaluate("learning.running")
    assert "LSTM" in said.inner_text()


def test_words_beside_an_axis_have_their_place(page):
    wide = """() => {
      const drawn = [], pen = CanvasRenderingContext2D.prototype, fill = pen.fillText;
      pen.fillText = function (text, x, ...rest) {
        if (this.textAlign === "right") drawn.push([String(text), x - this.measureText(text).width]);
        return fill.call(this, text, x, ...rest);
      };
      everything(), drawLearning();
      pen.fillText = fill;
      return drawn;
    }"""
    drawn = page.evaluate(wide)
    assert {"layer 1", "layer 2"} <= {text for text, _ in drawn}
    assert [text for text, left in drawn if left < 0] == []


def test_guessing_is_measured_on_the_sequences_that_the_nets_are_measured_on(page):
    said = """([seed, error]) => {
      Object.assign(learning, {seed});
      forget();
      sayLearning([{kind: "lstm", error, rows: [[100, error]]}]);
      return [learning.guess, element("learned").textContent];
    }"""
    for seed in range(1, 6):
        guess, _ = page.evaluate(said, [seed, 1.0])
        assert guess == pytest.approx(1 / 6, abs=0.06)
        for error, worse in ((guess - 1e-3, False), (guess + 1e-3, True)):
            assert ("no better than always answering 1" in page.evaluate(said, [seed, error])[1]) == worse


TRAINED = """([kind, bound]) => {
  const training = new Training({kind, T: 50, bound, seed: 1});
  for (let step = 0; step < 100; step++) training.step();
  return training.error();
}"""


@pytest.mark.parametrize(("wide", "high"), [(390, 844), (1440, 900)])
def test_the_adding_problem_is_learned_in_the_browser(page, wide, high):
    """Below 0.01 at T = 50 within 2,000 steps and a minute (some 3 seconds on an idle machine)."""
    page.set_viewport_size({"width": wide, "height": high})
    for name in () if "PICTURES" in os.environ else ("LSTM", "RNN-tanh"):  # a picture shows all three
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function("learning.nets.indrnn?.solved || learning.nets.indrnn?.steps > 2000", timeout=60_000)
    page.get_by_role("button", name="Pause", exact=True).click()
    step = page.evaluate("learning.nets.indrnn.solved?.step")
    assert step is not None
    assert step <= 2000
    assert f"step {step:,}" in page.locator("#numbers").inner_text()
    if "PICTURES" in os.environ and wide > 1000:
        page.add_style_tag(content="section { padding: 18px; }")
        pictured(page.locator("section", has=page.locator("#train")), PICTURES / "playground_training.png")


def test_a_bound_that_lets_no_memory_live_leaves_the_error_at_guessing(page):
    assert page.evaluate(TRAINED, ["indrnn", 0.5]) > 0.1
    assert page.evaluate(TRAINED, ["lstm", None]) < 0.3
    assert page.evaluate(TRAINED, ["rnn_tanh", None]) < 0.3


def test_a_digit_is_drawn_by_mouse_by_keyboard_and_from_the_address(page, address):
    page.get_by_role("button", name="Wipe the pad").click()
    answered(page)
    assert "empty pad" in page.locator("#now").inner_text()
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.8 * box["height"], steps=12)
    page.mouse.up()
    answered(page)
    drawn = page.evaluate("Array.from(x)")
    assert 20 < sum(v > 0 for v in drawn) < 80, "an upright stroke of twenty pixels"
    said, link = page.locator("#now").inner_text(), linked(page)
    opened(page, link)
    assert page.locator("#now").inner_text().split(",")[0] == said.split(",")[0]

    pad = page.locator("#pad")
    pad.press("Delete")
    for key in ("ArrowUp",) * 7 + ("Space",) + ("ArrowDown",) * 14 + ("Space",):
        pad.press(key)
    answered(page)
    strokes = page.evaluate("view.strokes")
    assert [len(stroke) for stroke in strokes] == [15]
    page.touchscreen.tap(box["x"] + 20, box["y"] + 20)
    answered(page)
    assert page.evaluate("view.strokes.length") == 2
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    page.mouse.down()
    pad.press("Delete")
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.up()
    assert page.evaluate("view.strokes") == [], "a stroke that was taken back does not go on"


def test_every_control_changes_what_is_read_and_the_address_opens_the_same_view(page):
    final = "Array.from(found[0].probabilities.slice(-10)).join()"
    trained = page.evaluate(final)
    for control, key in (("#bound", "Home"), ("#cut", "End"), ("#u", "End")):
        page.locator(control).press(key)
        answered(page)
        assert page.evaluate(final) != trained, control
        if control == "#u":
            assert "its numbers are infinite" in page.locator("#changed").inner_text(), "1.2 to the 784th power"
            assert "steps, infinite" in page.locator("#state").get_attribute("aria-label")
        page.get_by_role("button", name="As trained").click()
        answered(page)
        assert page.evaluate(final) == trained
    page.locator("#order").select_option("shuffled")
    page.locator("#neuron").press("ArrowLeft")
    page.get_by_label("2", exact=True).first.check(force=True)
    page.locator("#step").press("PageDown")
    page.locator("#step").press("ArrowLeft")
    answered(page)
    seen, link = page.evaluate("({...view, strokes: null})"), linked(page)
    opened(page, link)
    assert page.evaluate("({...view, strokes: null})") == seen
    opened(page, link.split("#")[0] + "#picture=1&layer=99&step=-3&u=up&drawn=!&bound=1e9")
    assert page.locator("#traces canvas").count() == 2, "an IndRNN, and an LSTM beside it"


def test_time_plays_to_the_end(page):
    page.evaluate("view.step = 690; play()")
    page.wait_for_function("!playing", timeout=60_000)
    assert "784 of 784" in page.locator("#steps").inner_text()


@pytest.mark.parametrize(("wide", "high", "scheme"), SCREENS)
def test_on_any_screen_in_the_browser_axe_finds_no_fault(page, wide, high, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": wide, "height": high})
    page.wait_for_timeout(400)
    page.add_script_tag(path=str(AXE))
    assert page.evaluate(FAULTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= wide, "nothing is wider than the screen"
    if "PICTURES" in os.environ and wide > 1000:
        page.evaluate("location.hash = '#step=640'")
        answered(page)
        pictured(page, PICTURES / f"playground_{scheme}.png")


# --- a hand that traces images ---


def traced(image):
    """The strokes of an image (28, 28) of 0 to 255: its thinned lines, followed from their ends; points in [0, 1]."""
    left = {tuple(place) for place in np.argwhere(thinned(image >= 96))}
    near = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    near.sort(key=lambda d: abs(d[0]) + abs(d[1]))

    def around(p, places):
        return [(p[0] + a, p[1] + b) for a, b in near if (p[0] + a, p[1] + b) in places]

    whole, strokes = set(left), []
    while left:
        at = min(left, key=lambda p: (len(around(p, left)), p))
        joined = [p for p in around(at, whole) if p not in left]
        stroke = [*joined[:1], at]
        left.remove(at)
        while following := around(at, left):
            at = following[0]
            left.remove(at)
            stroke.append(at)
        ends = [p for p in around(at, whole) if p not in stroke[-3:]]
        strokes.append([((x + 0.5) / 28, (y + 0.5) / 28) for y, x in stroke + ends[:1]])
    return strokes


AROUND = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))  # clockwise from above


def thinned(ink):
    """Lines of one pixel (Zhang and Suen 1984): ink (H, W) of bool -> the same."""
    ink = np.pad(ink, 1)
    while True:
        before = ink.copy()
        for part in (0, 1):
            n = [np.roll(ink, shift, (0, 1)) for shift in AROUND]
            count = sum(a.astype(int) for a in n)
            turns = sum((~n[k] & n[(k + 1) % 8]).astype(int) for k in range(8))
            first = ~(n[0] & n[2] & n[4]) & ~(n[2] & n[4] & n[6])
            second = ~(n[0] & n[2] & n[6]) & ~(n[0] & n[4] & n[6])
            ink = ink & ~((count >= 2) & (count <= 6) & (turns == 1) & (second if part else first))
        if (ink == before).all():
            return ink[1:-1, 1:-1]


TRACED = """(digits) => {
  const [{frame, nets: [net]}] = pictures, reader = new Reader(net);
  const answer = (strokes) => reader.read(pixelsOf(strokes, frame)).probabilities.slice(-10);
  return digits.map((strokes) => best(Array.from(answer(strokes))));
}"""


def test_the_first_hundred_test_digits_are_read_when_traced_as_strokes(page):
    """At least 90 of them."""
    images, labels = pixels.mnist().test
    digits = [traced(image.reshape(28, 28).numpy()) for image in images[:100]]
    found = page.evaluate(TRACED, digits)
    right = sum(a == int(b) for a, b in zip(found, labels[:100], strict=True))
    assert right >= 90


measured = pytest.mark.skipif("MEASURE" not in os.environ, reason="measured by `make measure`: MEASURE=file.csv")


@measured
def test_the_work_of_a_frame_while_scrubbing_is_measured(page, browser):
    rows, load = [], os.getloadavg()[0]
    slider = page.locator("#step")
    for picture in (0, 1):
        page.evaluate(f"location.hash = '#picture={picture}'")
        page.wait_for_timeout(1_000)
        page.evaluate("frames_ms.length = 0")
        for _ in range(60):
            slider.press("ArrowLeft")
            page.wait_for_timeout(20)
        median = statistics.median(page.evaluate("frames_ms"))
        rows.append(
            ("playground", "step", 60, f"median_ms_of_a_frame_{picture}", round(median, 2), 8, "", f"{load:.1f}")
        )
        assert median < 8
    with Path(os.environ["MEASURE"]).open("a", newline="") as file:
        about = (os.cpu_count(), f"Chromium {browser.version}")
        csv.writer(file, lineterminator="\n").writerows([*row, *about] for row in rows)


def test_a_page_without_a_trained_net_is_refused(store, tmp_path):
    with pytest.raises(ParameterError, match="playground: none of seqmnist_plain6, seqdigits_plain6 has weights"):
        write_playground(tmp_path)


def test_a_net_that_the_page_cannot_run_is_refused():
    with pytest.raises(ParameterError, match="net: Linear received"):
        folded(nn.Linear(1, 1))
