"""`dal-nlp repair` on the command line."""

from pathlib import Path

from dal_nlp.ledger.events import ConfigEvent, LabelEvent, QueryEvent
from dal_nlp.ledger.ledger import Ledger, read_state
from tests.cli.conftest import invoke


def test_a_damaged_ledger_is_refused_then_repaired(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(
            ConfigEvent(config={"task": "sentiment", "model": "m", "strategy": "s", "rounds": 1, "budget": 9})
        )
        ledger.append(QueryEvent(round=0, ids=["a", "b"], scores=[1.0, 0.5], texts=["A", "B"], strategy="margin"))
        ledger.extend([LabelEvent(id="a", target="p"), LabelEvent(id="b", target="p")])
    whole = invoke("repair", str(tmp_path))
    assert whole.exit_code == 0 and "is whole: 4 lines" in whole.output
    path = tmp_path / "ledger.jsonl"
    path.write_text(path.read_text().replace('"id": "a", "target": "p"', '"id": "a", "target": "n"'))
    for command in ("status", "log", "report"):
        refused = invoke(command, str(tmp_path))
        assert refused.exit_code == 2
        assert "line 3 is damaged: it was changed" in " ".join(refused.output.split())
    done = invoke("repair", str(tmp_path))
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert "Line 3 is set aside: it was changed after it was written" in said and "Lines kept: 3." in said
    assert (tmp_path / "ledger-set-aside-1.jsonl").read_text().count("\n") == 1
    assert read_state(tmp_path).answers == {"b": "p"}
    assert invoke("status", str(tmp_path)).exit_code == 0
    assert invoke("repair", str(tmp_path / "nothing")).exit_code == 2
