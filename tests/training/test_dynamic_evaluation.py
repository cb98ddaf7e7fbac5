"""Dynamic evaluation: the published rule, written out once more in NumPy; the choice on validation, the test once."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from workbench import paper
from workbench.config import Treebank
from workbench.errors import ParameterError
from workbench.models.layer import Unit
from workbench.tasks import treebank
from workbench.tasks.contract import Batch
from workbench.training import dynamic_evaluation, evaluate

V = 5
LR, DECAY = 0.02, 0.7  # large enough that one rate reaches its cap, 1 / decay


class Bigram(nn.Module):
    """Logits of the next token are a row of a table plus a bias; the state counts tokens, which shows its way."""

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(1)
        self.table = nn.Parameter(torch.randn(V, V, generator=rng, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(V, generator=rng, dtype=torch.float64) * 0.1)
        self.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)
        self.seen = []

    def forward(self, x, state, start):
        count = torch.zeros(1) if state is None else state[0]
        self.seen.append((int(count), start))
        return self.table[x] + self.bias, [count + len(x)]


class Remembering(nn.Module):
    """An embedding, one recurrent unit whose u starts at its bound, a decoder tied to the embedding."""

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(2)
        self.embedding = nn.Embedding(V, 4)
        nn.init.normal_(self.embedding.weight, generator=rng)
        self.unit = Unit(4, 4, u_range=(0.99, 0.99), bound=0.99, norm="none", generator=rng)
        self.us = []

    def forward(self, x, state, start):
        self.us.append(self.unit.u.detach().clone())
        a = self.unit.fc(self.embedding(x))
        h, out = torch.zeros(x.shape[1], 4) if state is None else state[0], []
        for a_t in a:
            h = torch.relu(a_t + self.unit.u * h)
            out.append(h)
        return torch.stack(out) @ self.embedding.weight.T, [h]


def text(train=200, valid=83, test=61):
    rng = torch.Generator().manual_seed(0)
    sizes = {"train": train, "valid": valid, "test": test}
    tokens = {s: torch.randint(0, V, (n,), generator=rng) for s, n in sizes.items()}
    return treebank.Text(tokens, ("<eos>", "a", "b", "c", "d"))


def task():
    return treebank.TreebankTask(text(), Treebank(name="treebank", length=10), 0, 4)


def softmax_gradients(table, bias, x, y):
    """Loss and gradients of the bigram net on one batch, by hand."""
    x, y = x.ravel(), y.ravel()
    logits = table[x] + bias
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    p[np.arange(len(y)), y] -= 1
    g_table = np.zeros_like(table)
    np.add.at(g_table, x, p / len(y))
    return loss, g_table, p.mean(0)


def by_hand(net, train, batches, lr, decay):
    """Krause's rule step by step: RMS of the training gradients, rates, cap, updates; nats a token."""
    table, bias = net.table.detach().numpy().copy(), net.bias.detach().numpy().copy()
    squares = [np.zeros_like(table), np.zeros_like(bias)]
    for b in train:
        _, *gs = softmax_gradients(table, bias, b.x.numpy(), b.y.numpy())
        squares = [s + g * g for s, g in zip(squares, gs, strict=True)]
    rms = [np.sqrt(s / len(train)) for s in squares]
    mean = (rms[0].mean() + rms[1].mean()) / 2
    rates = [np.minimum(r / mean, 1 / decay) for r in rms]
    w, w0, nats, n = [table, bias], [table.copy(), bias.copy()], 0.0, 0
    for b in batches:
        loss, *gs = softmax_gradients(*w, b.x.numpy(), b.y.numpy())
        nats, n = nats + loss * b.y.numel(), n + b.y.numel()
        w = [
            v + decay * q * (v0 - v) - lr * g / (r + 2e-5) for v, v0, g, q, r in zip(w, w0, gs, rates, rms, strict=True)
        ]
    return nats / n, rates


def test_it_is_the_published_rule():
    net, t = Bigram(), task()
    train = list(t.segments("train", 4, 20))
    rms = dynamic_evaluation.statistics(net, train)
    found = dynamic_evaluation.score(net, t.segments("test", 1, 20), rms, LR, DECAY)
    expected, rates = by_hand(net, train, list(t.segments("test", 1, 20)), LR, DECAY)
    assert max(r.max() for r in rates) == pytest.approx(1 / DECAY)  # the cap is in use
    assert min(r.min() for r in rates) < 0.9 / DECAY
    assert found["loss"] == pytest.approx(expected, rel=1e-12)
    assert found["n"] == 61
    assert found["perplexity"] == pytest.approx(math.exp(expected))


def test_it_learns_what_the_text_repeats():
    net = Bigram()
    y = torch.tensor([0, 1, 2] * 40)
    x = torch.cat([y[-1:], y[:-1]])
    batches = [Batch(x[k : k + 20, None], y[k : k + 20, None], start=k) for k in range(0, 120, 20)]
    rms = dynamic_evaluation.statistics(net, batches)
    still = evaluate.score(net, batches, "token")["loss"]
    assert dynamic_evaluation.score(net, batches, rms, 1.0, 0.0)["loss"] < still / 2


def test_without_learning_it_is_the_plain_score_and_the_state_is_carried():
    net, t = Remembering(), task()
    rms = dynamic_evaluation.statistics(net, t.segments("train", 4, 20))
    found = dynamic_evaluation.score(net, t.segments("test", 1, 20), rms, 0.0, 0.0)
    plain = evaluate.score(net, t.segments("test", 1, 20), "token")
    assert found == pytest.approx(plain, rel=1e-6)
    counting = Bigram()
    dynamic_evaluation.statistics(counting, t.segments("valid", 1, 20))
    assert counting.seen == [(0, 0), (20, 20), (40, 40), (60, 60), (80, 80)]


def test_the_recurrent_weights_stay_in_their_bound_while_it_learns():
    net, t = Remembering(), task()
    rms = dynamic_evaluation.statistics(net, t.segments("train", 4, 20))
    net.us.clear()
    dynamic_evaluation.score(net, t.segments("valid", 1, 20), rms, 10.0, 0.0)
    assert any(bool((u == -net.us[0]).any()) for u in net.us)  # pushed from one end to the other
    assert all(float(u.abs().max()) <= float(net.us[0].max()) for u in net.us)


def test_the_net_is_given_back_as_it_was():
    net, t = Remembering().train(), task()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    rms = dynamic_evaluation.statistics(net, t.segments("train", 4, 20))
    dynamic_evaluation.score(net, t.segments("test", 1, 20), rms, 1.0, 0.01)
    assert net.training
    assert len(rms) == 4  # the tied matrix once
    assert_close(net.state_dict(), before, rtol=0, atol=0)


def test_the_pair_is_chosen_on_validation_and_the_test_is_read_once(monkeypatch):
    net, t, asked = Bigram(), task(), []
    segments = t.segments
    monkeypatch.setattr(t, "segments", lambda split, *rest: (asked.append(split), segments(split, *rest))[1])
    outcome = dynamic_evaluation.choose(net, t, rates=(0.0, 0.01, 0.5), decays=(0.0, 0.5))
    assert asked == ["train", *["valid"] * 6, "test"]
    lowest = min(outcome.grid, key=lambda row: row[2])
    assert (outcome.lr, outcome.decay, outcome.valid["perplexity"]) == lowest
    rms = dynamic_evaluation.statistics(net, segments("train", 4, 20))
    assert outcome.test == dynamic_evaluation.score(net, segments("test", 1, 20), rms, outcome.lr, outcome.decay)
    assert outcome.table.shape == (2, 3)
    assert outcome.table.loc[outcome.decay, outcome.lr] == lowest[2]


def test_a_pair_that_diverges_is_not_chosen(monkeypatch):
    loss = {(1.0, 0.1): math.nan, (0.1, 0.1): 2.0}
    monkeypatch.setattr(
        dynamic_evaluation, "score", lambda net, _, rms, *pair: evaluate.means(loss[pair], 0, 1, "token")
    )
    assert dynamic_evaluation.choose(Bigram(), task(), rates=(1.0, 0.1), decays=(0.1,)).lr == 0.1


def test_a_choice_on_the_first_tokens_reads_no_more_of_validation():
    net, t = Bigram(), task()
    outcome = dynamic_evaluation.choose(net, t, rates=(0.01,), decays=(0.1,), batches=2, tokens=30)
    rms = dynamic_evaluation.statistics(net, list(t.segments("train", 4, 20))[:2])
    head = list(t.segments("valid", 1, 20))[:2]
    assert outcome.valid == dynamic_evaluation.score(net, head, rms, 0.01, 0.1)
    assert (outcome.valid["n"], outcome.test["n"]) == (40, 61)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rates": ()}, r"rates: \(\) received; numbers from 0 to 1"),
        ({"rates": [1e-4, math.nan]}, "rates: .*nan"),
        ({"decays": [2.0]}, r"decays: \[2.0\]"),
        ({"decays": ["0.1"]}, "decays: .*'0.1'"),
        ({"batches": 0}, "batches: 0 received; a whole number of at least 1"),
        ({"tokens": 1.5}, "tokens: 1.5"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, complaint):
    with pytest.raises(ParameterError, match=complaint):
        dynamic_evaluation.choose(Bigram(), task(), **settings)


def test_a_run_on_another_task_is_refused():
    digits = paper.experiment("seqdigits_lstm")
    with pytest.raises(ParameterError, match="'seqdigits_lstm' is no run on the treebank"):
        dynamic_evaluation.of(SimpleNamespace(config=digits.config, seed=0, experiment=digits.id))


def test_a_text_without_a_token_has_no_score():
    with pytest.raises(ParameterError, match="batches: no token to score"):
        dynamic_evaluation.score(Bigram(), [], [torch.ones(1)] * 2, LR, DECAY)
