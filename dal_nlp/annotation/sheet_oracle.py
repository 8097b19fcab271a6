"""The oracle of people who answer in files: a csv and a jsonl for each round and annotator."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from dal_nlp.annotation.oracle import Answer, Label, Oracle, Origin, Query, Setting, Skip
from dal_nlp.annotation.parsing import back_in_the_pool, now, read_answer, suggested, write_answer
from dal_nlp.annotation.sheet_files import (
    CONFLICTS,
    FOLDER,
    SUSPECTS,
    Sheet,
    SheetEntry,
    check_entries,
    find_sheets,
    found_by_text,
    is_blank,
    other_files,
    read_sheet,
    stem_of,
    write_sheet,
)
from dal_nlp.annotation.voting import assigned, conflicts, is_new, record, resolve
from dal_nlp.core.errors import UserError
from dal_nlp.core.guidelines import Guidelines
from dal_nlp.core.targets import readable
from dal_nlp.core.text import counted
from dal_nlp.data.examples import context_of
from dal_nlp.joins.row_matching import RowMatcher, asked_texts
from dal_nlp.joins.tool_rows import ANSWER, ID, NOTE

#: Most mistakes in sheets that are named.
SHOWN = 20


class OpenRows:
    """Which rows of the sheets can still be filled in: those that are empty or wrong in the csv and in the jsonl."""

    def __init__(self) -> None:
        self._empty: dict[str, dict[str, dict[str, str]]] = {}  # by the stem and the base of sheets, and by id
        self._used: dict[str, set[str]] = {}

    def empty(self, sheet: Sheet, ids: Sequence[str]) -> None:
        """Take up the rows of a sheet."""
        there = self._empty.setdefault(sheet.stem, {}).setdefault(sheet.base, {})
        for id in ids:
            there.setdefault(id, sheet.path.name)

    def used(self, sheet: Sheet, id: str) -> None:
        """Take up a row that holds an answer."""
        self._used.setdefault(sheet.base, set()).add(id)

    def files(self, stem: str) -> dict[str, str]:
        """Return the file with an empty row for each id that has one in the sheets of a stem, the csv if both have."""
        return {
            id: name
            for base, names in self._empty.get(stem, {}).items()
            for id, name in names.items()
            if id not in self._used.get(base, set())
        }


class Sheets(Oracle):
    """Takes what people have filled in, and writes a sheet of what is missing.

    Sheets of all rounds are read: what is new in an old one is a correction. ``sheet_files`` says how they look,
    ``voting`` what several people's answers come to.
    """

    def open(self, setting: Setting) -> None:
        """Keep what there is to know of the run."""
        self._setting = setting
        self._problems: list[str] = []
        self._said: list[str] = []
        self._shown: dict[str, str] = {}
        self._to_fill: list[str] = []
        self._rows = OpenRows()

    def label(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Yield what is new in the sheets, then write what is still missing into new ones."""
        setting, state = self._setting, self._setting.state
        self._problems, self._rows, self._said = [], OpenRows(), []
        self._shown = asked_texts(state)
        for _, same in groupby(find_sheets(setting.folder), lambda sheet: sheet.base):
            twins = list(same)
            if all(is_blank(sheet.path) for sheet in twins):
                self._remove(twins)
            else:
                yield from self._take(twins)
        for query in queries:
            yield from resolve(setting.config, state, query.id)
        self._write([query for query in queries if state.pending([query.id])])

    def _remove(self, twins: Sequence[Sheet]) -> None:
        """Remove sheets that hold nothing at all, as a power cut may leave them: they are written again."""
        for sheet in twins:
            sheet.path.unlink()
        names = " and ".join(sheet.path.name for sheet in twins)
        self._setting.progress.say(f"Empty, and written again where it still asks something: {names}")

    def _take(self, twins: Sequence[Sheet]) -> Iterator[Answer]:
        """Yield the new answers of one sheet, from its csv, its jsonl and the copies of the two."""
        answers: dict[str, list[tuple[SheetEntry, Label | Skip]]] = {}
        for sheet in twins:
            for entry, answer in self._read(sheet):
                answers.setdefault(entry.id, []).append((entry, answer))
        for id, ((entry, answer), *others) in answers.items():
            other = next((there.place for there, reply in others if reply.key != answer.key), None)
            if other:
                self._problems.append(f"{entry.place}: {id!r} has another answer than in {other}: keep one of the two.")
                continue
            self._rows.used(twins[0], id)
            for _, reply in [(entry, answer), *others]:
                if twins[0].stem == SUSPECTS and isinstance(reply, Skip):
                    continue  # the label stays as it is
                yield from self._record(reply, entry.place)

    def _read(self, sheet: Sheet) -> Iterator[tuple[SheetEntry, Label | Skip]]:
        """Yield the rows of one file whose answers can be used, and say what is wrong with the others."""
        broken: list[str] = []
        setting, state = self._setting, self._setting.state
        try:
            entries = list(read_sheet(sheet.path, setting.task.columns(), broken.append))
        except (UserError, OSError) as error:
            broken.append(str(error))
            entries = []
        self._problems += broken
        if broken and not sheet.is_copy:  # it may have them all, once it can be read
            self._rows.empty(sheet, state.waiting)
        self._rows.empty(sheet, [entry.id for entry in entries])
        matcher = RowMatcher(setting.task, self._asked_in(sheet), self._shown, setting.example)
        checked = check_entries(entries, matcher, self._problems.append, f" in {sheet.stem}")
        if checked.by_text:
            self._said.append(found_by_text(sheet.path.name, checked.by_text))
        for entry in checked.entries:
            try:
                yield entry, self._answer(entry, sheet)
            except ValueError as error:
                known = self._setting.state.answers.get(entry.id)
                stays = f"; the answer that there is stays {readable(known)!r}" if known is not None else ""
                self._problems.append(f"{entry.place}: {str(error).rstrip('.')}{stays}.")

    def _asked_in(self, sheet: Sheet) -> set[str]:
        """Return the ids that a sheet may hold: one that a spreadsheet has changed may be another example's."""
        state = self._setting.state
        if sheet.stem == SUSPECTS:
            return state.ever_asked
        query = state.query(sheet.round) if sheet.round is not None else None
        return {*state.asked.get(sheet.round, []), *(query.ids if query else [])}

    def _record(self, answer: Label | Skip, place: str) -> Iterator[Answer]:
        """Yield what is to be written down of an answer, if it is new."""
        state = self._setting.state
        if not is_new(state, answer):
            return
        if state.asks(answer.id):
            yield from record(self._setting.config, state, answer)
        else:
            self._problems.append(f"{place}: {back_in_the_pool(answer.id)}.")

    def _answer(self, entry: SheetEntry, sheet: Sheet) -> Label | Skip:
        final = sheet.annotator == CONFLICTS or sheet.stem == SUSPECTS
        shown = self._suggestion(entry.id) if self._setting.config.suggest or sheet.stem == SUSPECTS else None
        by = sheet.annotator if sheet.annotator and not final else sheet.base
        origin = Origin(by, now(), entry.file, suggested(shown), entry.note, final)
        return read_answer(self._setting.task, entry.answer, self._setting.example(entry.id), origin)

    def _suggestion(self, id: str) -> dict[str, Any] | None:
        return self._setting.state.suggestion(id)

    def _write(self, missing: Sequence[Query]) -> None:
        """Write sheets of what can be filled in nowhere yet."""
        if not missing:
            return
        config, state, round = self._setting.config, self._setting.state, missing[0].round
        disputed = set(conflicts(config, state))
        by_name = assigned(config, state, [round]) or {"": [query.id for query in missing]}
        waiting = {name: self._open_for(name, ids, missing, disputed) for name, ids in by_name.items()}
        if not any(waiting.values()):  # only then are all conflicts known
            waiting[CONFLICTS] = [query for query in missing if query.id in disputed]
        self._to_fill = []
        for name, queries in waiting.items():
            stem = stem_of(round, name)
            there = self._rows.files(stem)
            self._to_fill += dict.fromkeys(there[query.id] for query in queries if query.id in there)
            new = [query for query in queries if query.id not in there]
            if new:
                rows = [self._row(query, name == CONFLICTS) for query in new]
                self._to_fill.append(write_sheet(self._setting.folder, stem, rows, self._head()).name)

    def _head(self) -> list[str]:
        """Return what stands above a sheet, which may be sent to somebody: the guidelines, and how to answer."""
        task = self._setting.task
        told = Guidelines.of(self._setting.config, task.labels)
        hint = task.answer_format.sheet_hint()
        is_told = not told.given and all(label.name in hint for label in told.labels)
        return [*([] if is_told else told.lines()), f"Answer in the column {ANSWER!r} below: {hint}."]

    def _open_for(self, name: str, ids: Sequence[str], missing: Sequence[Query], disputed: set[str]) -> list[Query]:
        """Return what one annotator has still to answer."""
        mine, state = set(ids), self._setting.state
        return [
            q for q in missing if q.id in mine and q.id not in disputed and name not in state.opinions.get(q.id, ())
        ]

    def _row(self, query: Query, disputed: bool) -> dict[str, Any]:
        """Return the cells of one row."""
        setting = self._setting
        example = setting.example(query.id)
        own = {ID, ANSWER, NOTE, "answers", "suggestion", "confidence", "score", "characters", "why"}
        columns = [f"{name} (text)" if name in own else name for name in setting.task.columns()]
        row: dict[str, Any] = {ID: query.id, **dict(zip(columns, setting.task.texts(example), strict=True))}
        row |= {f"{name} (context)" if name in own | row.keys() else name: v for name, v in context_of(example).items()}
        if disputed:
            opinions = setting.state.opinions.get(query.id, {})
            row["answers"] = " | ".join(
                f"{by}: {_short(write_answer(setting.task, e, example))}" for by, e in opinions.items()
            )
        if setting.config.suggest:
            suggestion = query.suggestion
            row["suggestion"] = (
                setting.task.answer_format.format_answer(suggestion["target"], example) if suggestion else ""
            )
            row["confidence"] = round(suggestion["confidence"], 4) if suggestion else None
        return {**row, "score": query.score, "characters": len(query.text), "why": query.why, ANSWER: "", NOTE: ""}

    def remarks(self, pending: Sequence[str]) -> list[str]:
        """Return the mistakes in the sheets, then what is missing, where, and what to run next."""
        remarks = self._problems[:SHOWN]
        if len(self._problems) > SHOWN:
            remarks.append(f"... and {counted(len(self._problems) - SHOWN, 'more mistake')} like these.")
        folder, state, config = self._setting.folder, self._setting.state, self._setting.config
        remarks += [*self._said, *_not_read(folder)]
        disputed, open_ids = conflicts(config, state), set(pending)
        count = sum(id in open_ids for id in disputed)
        trust = " --trust" if ":" in config.task else ""  # the commands name no class of the user's own
        if pending:
            names = ", ".join(self._to_fill)
            twin = " (or .jsonl)" if all(name.endswith(".csv") for name in self._to_fill) else ""
            others = f" ({count:,} of them disputed)" if count else ""
            what = self._setting.task.answer_format.sheet_hint()
            remarks.append(
                f"Answers still missing: {len(pending):,}{others}. Fill in the column {ANSWER!r} of {names}{twin} "
                f"in {folder / FOLDER} ({what}), or use `dal-nlp label {folder}{trust}`; then run the same command "
                f"again. Or answer in a browser: `dal-nlp annotate {folder}{trust}`."
            )
        settled = len(disputed) - count
        if settled:
            remarks.append(f"Disputed: {settled:,}; `dal-nlp label {folder} --conflicts{trust}` settles them.")
        return remarks


def _not_read(folder: Path) -> list[str]:
    """Say which files beside the sheets nobody reads."""
    names = other_files(folder)
    return (
        [f"Not read in {folder / FOLDER}: {', '.join(names)}; a sheet keeps its name, such as round-000.csv."]
        if names
        else []
    )


def _short(text: str) -> str:
    return readable(text) if len(text) <= 200 else f"{text[:200]}..."
