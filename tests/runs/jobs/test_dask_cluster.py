"""A cluster of others: a scheduler under TLS with certificates of its own, and what Slurm is asked for."""

import gc
import os
import subprocess
import sys
import time

import psutil
import pytest

import workbench as wb
from workbench import files as places
from workbench.errors import ParameterError
from workbench.runs.jobs import dask_cluster, worker

NAME = "adding_rnn_tanh_T100"
TLS = ("--protocol", "tls://", "--tls-ca-file", "{0}/ca", "--tls-cert", "{0}/cert", "--tls-key", "{0}/key")


@pytest.fixture
def certificates(tmp_path):
    """ca, cert and key in a folder, made now."""
    pytest.importorskip("cryptography")
    from distributed import Security

    made = Security.temporary()
    for name, content in (("ca", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (tmp_path / name).write_text(content)
    return tmp_path


def started(command, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{command}", *arguments, "--no-dashboard", "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def reproduce(address, **settings):
    command = [sys.executable, "-m", "workbench", "reproduce", NAME, "--budget", "smoke", "--seeds", "1"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **settings}
    return subprocess.run([*command, "--scheduler", address], env=environment, capture_output=True, text=True)


def listening():
    """The places where this process listens: (address, port)."""
    return {tuple(c.laddr) for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}


@pytest.mark.slow
def test_a_scheduler_under_tls_takes_those_with_a_certificate_and_nobody_else(certificates, store, tmp_path):
    tls = [argument.format(certificates) for argument in TLS]
    told = tmp_path / "scheduler.json"
    processes = [started("scheduler", "--port", "0", "--scheduler-file", str(told), *tls)]
    try:
        deadline = time.monotonic() + 60
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        address = told.read_text().partition('"address": "')[2].partition('"')[0]
        assert address.startswith("tls://127.0.0.1:")
        processes.append(started("worker", address, "--nthreads", "1", "--no-nanny", *tls[2:],
                                 "--local-directory", str(tmp_path)))  # fmt: skip
        stranger = reproduce(address)
        assert stranger.returncode == 2
        assert stranger.stderr.splitlines()[-1].startswith(f"workbench: scheduler: {address!r} does not answer")
        assert "Traceback" not in stranger.stderr
        files = {f"DASK_DISTRIBUTED__COMM__TLS__CLIENT__{n.upper()}": f"{certificates}/{n}" for n in ("cert", "key")}
        known = reproduce(address, DASK_DISTRIBUTED__COMM__TLS__CA_FILE=f"{certificates}/ca", **files)
        assert known.returncode == 0, known.stderr
        assert f"{NAME} seed 0: done in" in known.stderr
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert list(wb.list_records()["status"]) == ["done"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # dask-jobqueue leaves its certificates' files to the collector
def test_slurm_is_asked_for_what_its_configuration_says_under_tls(store, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    pytest.importorskip("cryptography")
    import dask

    asked = {"cores": 1, "memory": "4GB", "walltime": "04:00:00", "job-extra-directives": ["--gres=gpu:1"],
             "worker-extra-args": ["--resources", "GPU=1"]}  # fmt: skip
    monkeypatch.setattr("dask_jobqueue.slurm.SLURMCluster.scale", lambda self, jobs: scaled.append(jobs))
    scaled: list[int] = []
    named = {f"jobqueue.slurm.{name}": value for name, value in asked.items()}
    before = listening()
    with dask.config.set(dask_cluster.SETTINGS | named):
        ours = dask_cluster._slurm(8)
        try:
            script, address, opened = ours.job_script(), ours.scheduler_address, listening() - before
        finally:
            ours.close()
    del ours
    gc.collect()
    assert scaled[0] == 8
    assert {port for host, port in opened if host != "127.0.0.1"} == {int(address.rpartition(":")[2])}
    for line in ("#SBATCH --cpus-per-task=1", "#SBATCH --mem=4G", "#SBATCH -t 04:00:00", "#SBATCH --gres=gpu:1"):
        assert line in script.splitlines()
    command = script.splitlines()[-1]
    assert command.startswith(sys.executable)
    assert " tls://" in command
    assert "--nthreads 1" in command
    assert "--resources GPU=1" in command
    for option in ("--tls-ca-file", "--tls-cert", "--tls-key"):
        assert f"{option} {store / '.cluster'}" in command
    assert (store / ".cluster").stat().st_mode & 0o077 == 0


def test_the_script_for_slurm_sets_what_dask_jobqueue_reads():
    """Every name that scripts/slurm.sh exports is one of dask-jobqueue's own settings."""
    pytest.importorskip("dask_jobqueue")
    import dask
    import dask_jobqueue  # noqa: F401 (puts its settings into dask's)

    script = (places.project() / "scripts" / "slurm.sh").read_text()
    names = [word.partition("=")[0] for word in script.split() if word.startswith("DASK_JOBQUEUE__SLURM__")]
    known = {name.replace("-", "_") for name in dask.config.get("jobqueue.slurm")}
    assert len(names) >= 7
    assert {name.removeprefix("DASK_JOBQUEUE__SLURM__").lower() for name in names} <= known
    assert subprocess.run(["bash", "-n", str(places.project() / "scripts" / "slurm.sh")]).returncode == 0


def test_without_dask_jobs_are_done_one_after_another_until_it_is_asked_to_stop(store, monkeypatch):
    begun, told, seen = [], [], []
    campaign = worker.Campaign.of(store)
    monkeypatch.setattr(worker, "FAMILY", worker.Family())

    def perform(job, *_):
        begun.append(job.label)
        while job.label == "second" and campaign.name not in worker.FAMILY.stopped:
            time.sleep(0.01)
        return worker.Outcome(job, 5 if job.label == "second" else 0, 0.0)

    monkeypatch.setattr(worker, "perform", perform)
    monkeypatch.setitem(sys.modules, "distributed", None)
    jobs = [(worker.Job(name, ()), None) for name in ("first", "second", "third")]
    with dask_cluster.pool() as pool:
        assert (pool.width, pool.remote) == (1, False)
        pool.run(jobs, dask_cluster.Caller(campaign, seen.append, lambda: "second" in begun, told.append))
    assert begun == ["first", "second"]
    assert [(outcome.job.label, outcome.code) for outcome in seen] == [("first", 0), ("second", 5)]


def test_without_dask_a_cluster_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for asked in ({"scheduler": "tcp://127.0.0.1:1"}, {"slurm": True}):
        with (
            pytest.raises(ParameterError, match=r"scheduler: dask\.distributed is not installed"),
            dask_cluster.pool(**asked),
        ):
            pass
    monkeypatch.setitem(sys.modules, "dask_jobqueue.slurm", None)
    with pytest.raises(ParameterError, match="slurm: dask-jobqueue is not installed"):
        dask_cluster._slurm(1)
