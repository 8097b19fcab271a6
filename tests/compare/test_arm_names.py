"""Names of arms: what they set, and which random arms join them."""

import pytest

from dal_nlp.compare.arm_names import planned, random_of, settings_of
from dal_nlp.core.errors import UserError


def test_a_learner_is_what_it_sets() -> None:
    assert settings_of("margin") == {}
    assert settings_of("margin@full") == {"training": {"mode": "full"}}
    assert settings_of("random@head:last+noprior") == {
        "training": {"mode": "head"},
        "head": {"layers": [100], "prior": "none"},
    }


def test_random_joins_each_learner_that_chooses_and_the_first_one_leads() -> None:
    assert planned(["random@head:last", "margin@head", "random@tfidf"]) == [
        "random@head",
        "random@head:last",
        "margin@head",
        "random@tfidf",
    ]
    assert planned(["margin", "badge"]) == ["random", "margin", "badge"]
    assert random_of("margin@head:last") == "random@head:last"


@pytest.mark.parametrize(
    ("arms", "named"),
    [
        (["random@head"], "nothing to compare"),
        (["margin@haed"], "did you mean|haed"),
        (["margin@head:first"], "takes last"),
        (["margin@tfidf"], "TF-IDF chooses nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(arms: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        planned(arms)
