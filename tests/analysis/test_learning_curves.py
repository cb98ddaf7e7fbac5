"""Official curves as a measure of chance: two runs of one configuration, of that task and of no other."""

from workbench import paper
from workbench.analysis import learning_curves


def test_the_official_pair_is_of_permuted_mnist_and_measures_no_other_task():
    column = "valid_batch_accuracy"
    alike = {name for name in paper.EXPERIMENTS if learning_curves.official_pair(name, 10**6, column) is not None}
    assert alike == {name for name in paper.EXPERIMENTS if name.startswith("permmnist_")}
    (other,) = {learning_curves.official_pair(name, 10**6, column) for name in alike}
    assert 0 < other < 0.05
