"""Mistakes that the tests must catch: each is made in a copy of the package, and the tests that are named must fail.

``python -m tests.mutations`` (a minute on an idle machine) makes them one after the other and says which came through.
A mistake is found by its text, wherever in the package that stands, and a test by its name: files may move.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("dal_nlp", "cli")
#: How pytest is called; the libraries are imported before it, which it warns of.
QUIET = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
#: What pytest printed last, in the copy.
OUTPUT = "pytest-output.txt"


class Mutation(NamedTuple):
    """A text of the package that stands there once, a wrong one, and the tests of which one has to fail."""

    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = [
    # Formulas of the strategies.
    Mutation(
        "(entropy(mean) - entropies / k).clamp(min=0)",
        "(entropy(mean) - entropies / (k + 1)).clamp(min=0)",
        ("test_against_the_definition", "test_agreement_is_zero"),
    ),
    Mutation(
        "nearest.add(picks[-1], own=0)", "nearest.add(picks[0], own=0)", ("test_picks_are_those_of_the_dense_form",)
    ),
    Mutation(
        "return Selection(np.array(picks), np.sqrt(scores))",
        "return Selection(np.array(picks), np.array(scores))",
        ("test_picks_are_those_of_all_pairs",),
    ),
    Mutation(
        "order = descending(log_weights + rng.gumbel(size=len(scores)), rng)[:k]",
        "order = descending(log_weights - rng.gumbel(size=len(scores)), rng)[:k]",
        ("test_frequencies",),
    ),
    Mutation(
        "squares.scatter(-1, best[..., None], others.square().sum(-1, keepdim=True))",
        "squares",
        ("test_saturated_predictions_keep_their_order",),
    ),
    Mutation(
        "return float(apart.sum() / (n * (n - 1)))",
        "return float(apart.sum() / (n * n))",
        ("test_bleu_variance", "test_bleu_variance_of_equal_and_of_unlike_texts"),
    ),
    Mutation(
        "brevity = np.minimum(1 - lengths / np.maximum(lengths, 1)[:, None], 0)",
        "brevity = np.zeros(())",
        ("test_equal_to_nltk_for_every_pair", "test_by_hand"),
    ),
    # Distributions.
    Mutation(
        "return positions % width * counts.reshape(shape) + positions // width - first",
        "return positions % width * counts.reshape(shape) + positions // width",
        ("test_an_outcome_has_the_same_number_in_every_batch",),
    ),
    Mutation(
        "below = values < self._largest(values)[self.owner]",
        "below = values <= self._largest(values)[self.owner]",
        (
            "test_formula_equals_that_of_each_example_alone",
            "test_the_table_holds_every_example_in_full",
            "test_margin_equals_that_of_each_example_alone",
        ),
    ),
    # Draws and training.
    Mutation(
        "(rng.random(width) >= p) / np.float32(1 - p)",
        "(rng.random(width) >= p) / np.float32(1)",
        ("test_a_mask_keeps_the_mean",),
    ),
    Mutation(
        "total = float(weights.mean()) * len(positions)",
        "total = float(weights[positions].mean()) * len(positions)",
        ("test_weights_count_in_the_loss", "test_a_weight_counts_the_same_in_every_company"),
    ),
    Mutation(
        "max(0.0, (self.steps - step) / max(1, self.steps - self.rise))",
        "1.0",
        ("test_the_learning_rate_rises_and_falls_to_nothing",),
    ),
    Mutation(
        "biases[seen] = bias - weights[seen] @ mean",
        "biases[seen] = bias",
        ("test_standardising_is_folded_into_the_layer",),
    ),
    # Measures.
    Mutation(
        "classes = predicted.keys() | wanted.keys()",
        "classes = wanted.keys()",
        ("test_functions_agree_with_sklearn", "test_absent_classes_do_not_count_and_missed_ones_are_zero"),
    ),
    Mutation(
        "shared = sum((Counter(left) & Counter(right)).values())",
        "shared = len(set(left) & set(right))",
        ("test_token_f1",),
    ),
    Mutation(
        "if binom.cdf(errors[n - 1], n, 1 - precision) > risk:",
        "if errors[n - 1] > n * (1 - precision):",
        ("test_the_lowest_threshold_that_passes_every_test_on_the_way", "test_the_promise_holds_as_often_as_it_says"),
    ),
    Mutation(
        "np.maximum.accumulate(scaled)",
        "scaled",
        ("test_holm_by_hand", "test_holm_keeps_the_order_and_lies_between_p_and_bonferroni"),
    ),
    Mutation(
        "least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]",
        "least = means",
        ("test_isotonic_agrees_with_sklearn",),
    ),
    # People's answers.
    Mutation(
        "if 2 * count > len(labels) else None",
        "if 2 * count >= len(labels) else None",
        ("test_the_winner_has_more_than_half", "test_a_tie_is_for_somebody_else_and_refusals_do_not_vote"),
    ),
    Mutation("share / (n - 1)", "share / n", ("test_a_share_is_wrong_and_all_other_labels_are_equally_likely",)),
    Mutation(
        """return f"'{text}" if _RUNS.match(text) else text""", "return text", ("test_names_of_columns_are_inert_too",)
    ),
    Mutation(
        'if scope["path"].startswith("/api/") and not secrets.compare_digest(bearer, self._bearer):',
        'if scope["path"].startswith("/api/") and not bearer:',
        ("test_without_the_token_nothing_is_told_or_written",),
    ),
    # The run.
    Mutation(
        "self.config.threshold - self.config.decay * round",
        "self.config.threshold",
        ("test_the_threshold_falls_and_never_below_zero",),
    ),
    Mutation(
        "elif duplicates[i] or (_closest(x[[i]], x[new]) >= self._threshold).any():",
        "elif duplicates[i]:",
        ("test_a_batch_is_the_brute_force_one",),
    ),
    Mutation(
        "return value < self.below", "return value <= self.below", ("test_uncertainty_fires_below_its_limit_only",)
    ),
]


def copy(folder: Path) -> None:
    """Copy what git knows of, and let the packages be found by their names."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("cli", "configs"):
        (folder / f"dal_nlp_{name}").symlink_to(folder / name)


def place(folder: Path, mutation: Mutation) -> Path:
    """Return the file that holds the text; raises ``LookupError`` where it does not stand there just once."""
    files = [path for package in PACKAGES for path in sorted((folder / package).rglob("*.py"))]
    counts = {path: path.read_text().count(mutation.old) for path in files}
    if sum(counts.values()) != 1:
        raise LookupError(f"{sum(counts.values())} places in the package hold {mutation.old!r}")
    return next(path for path, count in counts.items() if count)


def named(folder: Path, tests: tuple[str, ...]) -> list[str]:
    """Return the files with some tests and what picks these out."""
    found = [
        path
        for path in sorted((folder / "tests").rglob("test_*.py"))
        if any(f"def {test}(" in path.read_text() for test in tests)
    ]
    if not found:
        raise LookupError(f"there is no test named {' or '.join(tests)}")
    return [*map(str, found), "-k", " or ".join(tests)]


def fails(folder: Path, tests: tuple[str, ...]) -> bool:
    """Tell whether one of the tests fails in a folder, in a process that has the libraries and not yet the package."""
    words = named(folder, tests)
    child = os.fork()
    if not child:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        sys.dont_write_bytecode = True  # a file that changes twice in a second has an old one
        with (folder / OUTPUT).open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        import pytest

        try:
            code = int(pytest.main([*QUIET, f"--rootdir={folder}", *words]))
        except BaseException:  # the parent cleans up, and nobody else
            traceback.print_exc()
            code = 1
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 1):
        raise LookupError(f"pytest ended with {code} on {' '.join(words)}")
    return code == 1


def main() -> int:
    """Make every mistake and return how many came through."""
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    import accelerate  # noqa: F401 - the libraries, once for all processes
    import datasets  # noqa: F401
    import evaluate  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.bert.modeling_bert
    import transformers.models.t5.modeling_t5  # noqa: F401

    through = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy(folder)
        every = tuple(dict.fromkeys(test for mutation in MUTATIONS for test in mutation.tests))
        if fails(folder, every):
            print(*(folder / OUTPUT).read_text().splitlines()[-20:], sep="\n")
            print("The tests fail without any mistake: mend them first.")
            return len(MUTATIONS)
        for mutation in MUTATIONS:
            try:
                path = place(folder, mutation)
                right = path.read_text()
                path.write_text(right.replace(mutation.old, mutation.new))
                caught = fails(folder, mutation.tests)
                path.write_text(right)
                said = f"{'caught ' if caught else 'THROUGH'} {path.relative_to(folder)}: {mutation.new}"
            except LookupError as error:
                caught, said = False, f"LOST    {error}"
            through += not caught
            print(said, flush=True)
    print(f"{len(MUTATIONS) - through} of {len(MUTATIONS)} caught.")
    return through


if __name__ == "__main__":
    sys.exit(main())
