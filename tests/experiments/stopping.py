"""A job that is stopped and goes on, for tests of experiments."""

from lib.experiments.runs import Experiment, Run, attempt


def resumed(experiment: Experiment, job: dict, folder, monkeypatch, epoch: int) -> dict:
    """The row of a job that was stopped before it kept ``epoch``, and begun once more."""
    run, keep = {"path": folder / "run.npz", "of": {}}, Run.keep

    def stop(self, at, **state):
        if at == epoch:
            raise InterruptedError
        keep(self, at, **state)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "keep", stop)
        assert "InterruptedError" in attempt(experiment, job, run)[1]
    assert run["path"].exists()
    return attempt(experiment, job, run)[0]
