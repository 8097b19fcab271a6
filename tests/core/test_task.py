"""The base class of tasks: what has a default, and what is loaded for it."""

import subprocess
import sys

import pytest
from torch import nn

from dal_nlp import Unsupported, UserError
from dal_nlp.core.task import Capability, Task
from tests import tiny, tiny_summaries

READERS = ("core.task", "core.answer_format", "tasks.classification", "tasks.qa", "tasks.summarization")


def test_reading_answers_loads_no_torch() -> None:
    code = "; ".join([*(f"import dal_nlp.{name}" for name in READERS), "import sys", "print('torch' in sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_capabilities_are_known_by_their_words_too() -> None:
    assert {"draws", "shared outcomes"} <= {Capability.DRAWS, Capability.SHARED_OUTCOMES}
    assert f"{Capability.MASKED_LM}" == "masked language model"


def test_defaults() -> None:
    task, example = tiny.task(), {"text": "a", "pair": "b"}
    assert task.remarks is not None and task.show(example) == "a\n---\nb" and task.mark(example, "positive") == []
    assert task.details("positive") == {} == task.agreement(["positive"], ["positive"]) and not task.calibrates
    assert task.consistency(["positive", "negative"], ["positive", "negative"]) == 1
    with pytest.raises(Unsupported, match="not written"):
        task.write(nn.Identity(), None, None, "")  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="for classes"):
        tiny_summaries.summary_task().weights(["a"])
    with pytest.raises(Unsupported, match="cannot be built around a model"):
        Task.for_model.__func__(tiny.task().__class__, nn.Identity(), None, 8, {})  # type: ignore[attr-defined]


def test_an_example_of_a_training_script_that_is_none() -> None:
    task = tiny_summaries.summary_task()
    assert task.fields("a film") == {"document": "a film"} == Task.fields(task, "a film")
    with pytest.raises(UserError, match="give a mapping with 'document'"):
        Task.fields(task, 7)
    with pytest.raises(UserError, match="neither a text"):
        task.target(" ", {})
