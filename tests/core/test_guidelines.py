"""What people are told of a task, in each of its forms."""

from dal_nlp.core.config import Settings
from dal_nlp.core.guidelines import Guidelines

TEXT = "# Rules\n\nOnly the *food* counts. <script>alert(1)</script> ![x](http://a.b/c.png) [y](javascript:alert(2))"
CONFIG = Settings(
    task="sentiment",
    guidelines=TEXT,
    descriptions={"bad": ["I hate it.", "It is poor."]},
    label_details={"bad": {"examples": ["so <b>dull</b>"], "color": "#0072b2"}},
)


def test_every_label_is_there_with_what_is_said_of_it() -> None:
    told = Guidelines.of(CONFIG, ["good", "bad"])
    assert [(label.name, label.about, list(label.examples), label.color) for label in told.labels] == [
        ("good", "", [], None),
        ("bad", "I hate it. It is poor.", ["so <b>dull</b>"], "#0072b2"),
    ]
    assert told.lines() == [
        *TEXT.splitlines(),
        "",
        "Labels:",
        "  good",
        "  bad: I hate it. It is poor.",
        "    for example: so <b>dull</b>",
    ]


def test_html_of_the_text_is_letters() -> None:
    shown = Guidelines.of(CONFIG, []).tree()
    assert shown[0] == ["h3", ["Rules"]]
    tag, parts = shown[1]
    assert tag == "p" and ["em", ["food"]] in parts
    letters = "".join(part for part in parts if isinstance(part, str))
    assert "<script>alert(1)</script>" in letters and "x (http://a.b/c.png)" in letters
    assert "[y](javascript:alert(2))" in letters  # no link at all


def test_the_tree_has_the_elements_of_a_text() -> None:
    text = "1. one\n2. two `<b>`\n\n> said\n\n```\n<i>\n```\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n---\nx\\\ny\nz"
    assert Guidelines(text).tree() == [
        ["ol", [["li", ["one"]], ["li", ["two ", ["code", ["<b>"]]]]]],
        ["blockquote", [["p", ["said"]]]],
        ["pre", ["<i>\n"]],
        [
            "table",
            [
                ["thead", [["tr", [["th", ["a"]], ["th", ["b"]]]]]],
                ["tbody", [["tr", [["td", ["1"]], ["td", [["strong", ["2"]]]]]]]],
            ],
        ],
        ["hr", []],
        ["p", ["x", ["br", []], "y", "\n", "z"]],
    ]
    assert Guidelines("").tree() == []


def test_the_page_for_other_programs_escapes_labels_too() -> None:
    shown = Guidelines.of(CONFIG, ["<i>", "bad"]).page()
    assert "<i>" not in shown and "&lt;i&gt;" in shown and "so &lt;b&gt;dull&lt;/b&gt;" in shown
    assert "I hate it. It is poor." in shown
    nothing = Guidelines.of(Settings(task="sentiment"), ["good", "bad"])
    assert not nothing.given and nothing.page() == ""
