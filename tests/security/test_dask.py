"""Our dask clusters: an open port of theirs is a shell, so there is none, or one under TLS with its own certificate."""

import gc

import psutil
import pytest
from security.conftest import answers, listening, outside

from workbench.runs.jobs import dask_cluster

pytest.importorskip("distributed")


def test_the_cluster_of_this_machine_is_out_of_reach():
    """Started for real: it does work in this process, and no port of it is open to anybody else."""
    before = listening(psutil.Process())
    with dask_cluster.pool(2) as pool:
        assert pool.client.submit(sum, (1, 2)).result(30) == 3
        opened = listening(psutil.Process()) - before
        assert {address for address, _ in opened} <= {"127.0.0.1"}
        assert not [port for _, port in opened for address in outside() if answers(address, port)]
        assert pool.client.scheduler.address.startswith("inproc://")
        for _, port in opened:  # the status pages are there, and empty
            assert status("127.0.0.1", port, "/status") == 404


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # dask-jobqueue leaves its certificates' files to the collector
def test_the_scheduler_that_slurms_nodes_reach_wants_our_certificate(store, monkeypatch):
    """Reached under this machine's own outside address: in the clear, and with another certificate, it says nothing."""
    pytest.importorskip("dask_jobqueue")
    pytest.importorskip("cryptography")
    import dask
    from distributed import Client, Security

    monkeypatch.setattr("dask_jobqueue.slurm.SLURMCluster.scale", lambda self, jobs: None)
    with dask.config.set(dask_cluster.SETTINGS | {"jobqueue.slurm.cores": 1, "jobqueue.slurm.memory": "1GB"}):
        ours = dask_cluster._slurm(1)
        try:
            scheme, _, place = ours.scheduler_address.partition("://")
            assert scheme == "tls"
            assert answers(place.rpartition(":")[0], int(place.rpartition(":")[2]))
            with pytest.raises((OSError, TimeoutError)):
                Client(f"tcp://{place}", timeout=2)
            with pytest.raises((OSError, TimeoutError)):
                Client(f"tls://{place}", timeout=2, security=Security.temporary())
            with Client(f"tls://{place}", timeout=10, security=ours.security) as known:
                assert known.scheduler_info()["type"] == "Scheduler"
        finally:
            ours.close()
    del ours
    gc.collect()


def status(address, port, path):
    import http.client

    connection = http.client.HTTPConnection(address, port, timeout=5)
    connection.request("GET", path)
    found = connection.getresponse().status
    connection.close()
    return found
