"""The configuration of a run: sections, and the settings that hold them."""

from dal_nlp.core.config.sections import (
    DEPTHS,
    DISTIL,
    OF_FLAGS,
    DrawsConfig,
    LabelDetails,
    LanguageModelSection,
    Names,
    PseudoLabelsConfig,
    QueryConfig,
    ScoringConfig,
    Section,
    TrainingConfig,
)
from dal_nlp.core.config.settings import Settings, merge

__all__ = [
    "DEPTHS",
    "DISTIL",
    "OF_FLAGS",
    "DrawsConfig",
    "LabelDetails",
    "LanguageModelSection",
    "Names",
    "PseudoLabelsConfig",
    "QueryConfig",
    "ScoringConfig",
    "Section",
    "Settings",
    "TrainingConfig",
    "merge",
]
