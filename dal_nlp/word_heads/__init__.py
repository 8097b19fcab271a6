"""Output layers on the words of a frozen encoder, and what trains in a round by the name of its mode."""

from collections.abc import Collection, Mapping

from dal_nlp.core.task import Capability
from dal_nlp.learners.head_learner import HeadLearner
from dal_nlp.learners.learner import FullLearner, Learner
from dal_nlp.learners.lora_learner import LoraLearner
from dal_nlp.word_heads.word_head_learner import WordHeadLearner

#: What trains, by ``training.mode``.
LEARNERS: Mapping[str, type[Learner]] = {"full": FullLearner, "head": HeadLearner, "lora": LoraLearner}


def learner_class(mode: str, capabilities: Collection[Capability]) -> type[Learner]:
    """Return what trains in a mode for a task with some capabilities."""
    of_words = mode == "head" and Capability.WORD_OUTPUT in capabilities
    return WordHeadLearner if of_words else LEARNERS[mode]
