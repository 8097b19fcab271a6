"""What every test needs: no progress bars, one thread, no Hub."""

import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

os.environ["MPLCONFIGDIR"] = os.path.join(tempfile.gettempdir(), "dal-nlp-matplotlib")

import datasets
import pytest
import torch

torch.set_num_threads(1)  # several threads make tiny models many times slower
datasets.disable_progress_bars()


@pytest.fixture
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random encoder on disk."""
    from tests import tiny

    return tiny.save_model(tmp_path_factory.mktemp("model"))
