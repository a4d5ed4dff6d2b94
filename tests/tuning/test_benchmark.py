"""Facts about the benchmark of tunings."""

from __future__ import annotations

from benchmarks.tuning import siblings
from benchmarks.tuning.runs import Protocol, Run, add_run, read_runs
from benchmarks.tuning.table import table, write_between_marks

PROTOCOL = Protocol(epochs=2, images=40, size=64)


def run(method, seed, accuracy, dataset="a", **more):
    return Run(protocol=PROTOCOL, dataset=dataset, method=method, seed=seed, accuracy=accuracy, seconds=10.0, **more)


def test_a_line_cut_off_by_a_kill_is_done_again_and_other_protocols_are_not_read(tmp_path):
    path = tmp_path / "runs.jsonl"
    add_run(path, run("finetune", 0, 0.5))
    add_run(path, run("finetune", 1, 0.6).model_copy(update={"protocol": Protocol(epochs=9, images=40, size=64)}))
    add_run(path, run("finetune", 2, 0.7))
    text = path.read_text()
    path.write_text(text[:-20])
    assert [found.key for found in read_runs(path, PROTOCOL)] == [("a", "finetune", 0)]


def test_gains_are_paired_by_dataset_and_seed():
    """b_tuning lacks one seed: its gain is the mean over the two that it shares with the baseline."""
    runs = [run("finetune", seed, accuracy) for seed, accuracy in ((0, 0.5), (1, 0.6), (2, 0.1))]
    runs += [run("b_tuning", 0, 0.52, parameters=2_000_000), run("b_tuning", 1, 0.66)]
    runs += [run("ensemble", 0, None, error="tuning_diverged: why")]
    text = table(runs, PROTOCOL)
    assert "| b_tuning | 59.0 ± 7.0 | +4.0 | 1.0x | 2.0 M |" in text
    assert "| finetune | 40.0 ± 25.0 | +0.0 | 1.0x | - |" in text
    assert "| ensemble | - | - | - | - |" in text
    assert "tuning_diverged: why" in text


def test_only_what_stands_between_the_marks_is_replaced(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    write_between_marks(path, "new")
    write_between_marks(path, "newer")
    assert path.read_text() == "before\n<!-- results -->\nnewer\n<!-- end of results -->\nafter\n"
    path.write_text("<!-- results -->\na\n<!-- end of results -->\n<!-- b -->\n<!-- end of b -->\n")
    write_between_marks(path, "new", "b")
    assert path.read_text() == "<!-- results -->\na\n<!-- end of results -->\n<!-- b -->\nnew\n<!-- end of b -->\n"


def test_gains_of_a_zoo_are_over_the_best_single_checkpoint_and_over_the_one_that_logme_chose():
    """Differences to the best, b: 4 and 0, so 2 ± 2; to the leader, a: 10 and 4, so 7 ± 3."""
    runs = [
        run("finetune@a", 0, 0.50),
        run("finetune@a", 1, 0.60),
        run("finetune@b", 0, 0.56),
        run("finetune@b", 1, 0.64),
    ]
    runs += [run("zoo_tuning", 0, 0.60, leader="local:a"), run("zoo_tuning", 1, 0.64, leader="local:a")]
    text = siblings.table(runs, PROTOCOL, ["c"], 0.001)
    assert "| zoo_tuning | 62.0 ± 2.0 | +2.0 ± 2.0 | +7.0 ± 3.0 |" in text
    assert "| finetune, the best single one | 60.0 ± 4.0 | +0.0 ± 0.0 | +5.0 ± 1.0 |" in text
    assert "| finetune, the leader by LogME | 55.0 ± 5.0 | -5.0 ± 1.0 | +0.0 ± 0.0 |" in text
