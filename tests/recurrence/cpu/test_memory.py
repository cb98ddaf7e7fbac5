"""Memory that serves again: no array lies in another's, no more is kept than was once in use, no page faults twice."""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from workbench.recurrence.cpu import memory
from workbench.recurrence.cpu.memory import empty

LARGE = (1 << 18,)  # float32: 1 MiB, from which memory is kept
pytestmark = pytest.mark.skipif(not memory._PRIVATE, reason="no private mappings here")


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    """A pool of the test's own."""
    fresh = memory._Pool()
    monkeypatch.setattr(memory, "_pool", fresh)
    return fresh


def test_an_array_is_what_was_asked_for():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = empty((600, 3, 1000), dtype)
        assert (x.shape, x.dtype, x.is_contiguous(), x.device.type) == ((600, 3, 1000), dtype, True, "cpu")
        x.fill_(1)
        assert float(x.double().sum()) == 1_800_000


def test_the_memory_of_a_dead_array_serves_the_next():
    x = empty(LARGE, torch.float32)
    place = x.data_ptr()
    view = x[5:]
    del x
    assert empty(LARGE, torch.float32).data_ptr() != place  # a view is still looking
    del view
    assert empty(LARGE, torch.float32).data_ptr() == place


def test_arrays_that_live_never_share_memory():
    arrays = [empty(LARGE, torch.float32).fill_(i) for i in range(5)]
    del arrays[1], arrays[2]
    arrays += [empty((1 << 18, i), torch.float32).fill_(7 + i) for i in (1, 2, 3)]
    assert [x.unique().tolist() for x in arrays] == [[0.0], [2.0], [4.0], [8.0], [9.0], [10.0]]


def test_no_more_is_kept_than_was_once_in_use(pool):
    arrays = [empty(LARGE, torch.float32) for _ in range(4)]
    assert pool.used == pool.most == 4 * (2 << 20)  # huge pages
    del arrays
    assert (pool.used, len(pool.free)) == (0, 4)
    for megabytes in range(3, 9):  # each too large for what is free
        empty((megabytes << 18,), torch.float32)
        assert pool.used + sum(map(len, pool.free)) <= pool.most == 4 * (2 << 20)


def test_a_small_array_does_not_take_a_large_block(pool):
    large = empty((64 << 18,), torch.float32)
    del large
    small = empty(LARGE, torch.float32)
    assert len(pool.free) == 0  # the large one was let go: both would be more than was ever in use
    assert small.untyped_storage().nbytes() == 1 << 20


def test_memory_that_cannot_be_had_is_a_memory_error_and_is_not_counted(pool):
    with pytest.raises(MemoryError, match=r"can't allocate memory: 4,611,686,018,427,387,904 bytes"):
        pool.take(1 << 62)
    assert pool.used == pool.most == 0


def test_small_arrays_are_left_to_the_allocator(pool):
    empty((1000,), torch.float32)
    assert pool.used == pool.most == 0


def test_reused_memory_costs_no_page_faults():
    for _ in range(2):
        empty((16 << 18,), torch.float32).fill_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        empty((16 << 18,), torch.float32).fill_(1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 400  # fresh pages: 40,960


def test_threads_may_take_and_give_back_at_once(pool):
    wrong = []

    def work(number):
        for i in range(200):
            x = empty((1 << 18, 1 + (number + i) % 3), torch.float32)
            x[:: 1 << 10] = number
            if not bool((x[:: 1 << 10] == number).all()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not wrong
    assert pool.used == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's own, about forking beside threads
def test_a_forked_child_does_not_write_into_its_parents_arrays():
    x, dead = empty(LARGE, torch.float32).fill_(1), empty(LARGE, torch.float32).fill_(2)
    del dead
    child = os.fork()
    if child == 0:
        x.numpy()[:] = 5
        y = empty(LARGE, torch.float32)
        y.numpy()[:] = 6
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(x, torch.ones(LARGE))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_gives_back_while_another_thread_of_its_parent_held_the_lock(pool):
    x, lock = empty(LARGE, torch.float32), pool.lock
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lock.acquire).result()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            del x
            os._exit(0)
        thread.submit(lock.release).result()
    assert os.waitpid(child, 0)[1] == 0
