"""What every test needs: no progress bars, one thread, no Hub, and pictures only where they are looked at."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

os.environ["MPLCONFIGDIR"] = os.path.join(tempfile.gettempdir(), "dal-nlp-matplotlib")

import datasets
import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("dal-nlp", deadline=None)  # other processes may take the cores at any moment
hypothesis.settings.load_profile("dal-nlp")
torch.set_num_threads(1)  # several threads make tiny models many times slower
datasets.disable_progress_bars()
#: The library hashes each table and each step for a cache that nothing here reads: a tenth of a tiny run.
datasets.fingerprint.update_fingerprint = lambda *_: datasets.fingerprint.generate_random_fingerprint()
datasets.arrow_dataset.generate_fingerprint = lambda _: datasets.fingerprint.generate_random_fingerprint()
os.fsync = lambda fd: None  # no test cuts the power; those that look when something is flushed put their own here
hypothesis.settings.register_profile("fast", deadline=None, max_examples=10)  # for `make test-fast`


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Draw the learning curve of a run only for a test that is marked with ``pictures``; fetch no encoder."""
    from tests.pictures import blank

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dal_nlp.session.inputs.choose_encoder", lambda texts, count, progress: ("minilm", "chosen"))
        if item.get_closest_marker("pictures") is None:
            patch.setattr("dal_nlp.report.plots.render", blank)
        return (yield)


@pytest.fixture
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random encoder on disk."""
    from tests import tiny

    return tiny.save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what gives the folder of a run that waits for its first answers, by task; tests copy it."""
    from tests import waiting_runs as asking

    made: dict[str, Path] = {}

    def get(task: str) -> Path:
        if task not in made:
            made[task] = tmp_path_factory.mktemp(f"waiting-{task}")
            asking.run(task, made[task])
        return made[task]

    return get


@pytest.fixture
def waiting(paused: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return what gives a folder with a copy of such a run in ``run``."""

    def get(task: str) -> Path:
        shutil.copytree(paused(task) / "run", tmp_path / task / "run")
        (tmp_path / task / "files.txt").write_text(str(paused(task)))
        return tmp_path / task

    return get
