"""Histories: what a file may say, what is refused with its line, and what the matrices hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from frontrunner.evidence import History, HistoryTooSmall, InvalidHistory, PastResult, collapsed_results, read_history
from frontrunner.evidence.history import normal_scores
from frontrunner.evidence.history_file import parse_history

HEAD = "model,dataset,accuracy"


def test_columns_are_facts_scores_or_ignored_by_what_they_hold(tmp_path):
    path = tmp_path / "past.csv"
    path.write_text(
        "\ufeffModel,Dataset,Accuracy,LogME,parameters,family,note,seed,odd\n"
        "a,pets,0.9,1.5,100,vit,fine,1,1\n"
        "b,pets,0.8,,2e2,,,2,x\n",
        encoding="utf-8",
    )
    found = read_history(path)
    assert found.rows == (
        PastResult(model="a", dataset="pets", accuracy=0.9, scores={"logme": 1.5}, parameters=100, family="vit"),
        PastResult(model="b", dataset="pets", accuracy=0.8, parameters=200),
    )
    assert (found.percent, found.ignored) == (False, ("note", "odd"))


def test_percentages_become_shares():
    found = parse_history(f"{HEAD}\na,pets,91.5\nb,pets,0.5\n")
    assert found.percent
    assert [row.accuracy for row in found.rows] == [0.915, 0.005]


def test_rows_marked_as_diverged_and_rows_without_a_result_are_left_out_and_counted():
    found = parse_history(f"{HEAD},diverged\na,x,0.9,false\nb,x,0.1,True\nc,x,,\nd,x,nan,0\ne,x,0.5,\n")
    assert [row.model for row in found.rows] == ["a", "e"]
    assert (found.diverged, found.without_result) == (1, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks the column model, dataset, accuracy"),
        ("model,dataset,score\na,b,1\n", "lacks the column accuracy"),
        (f"{HEAD}\na,pets\n", "line 2: 2 cells, the heading has 3"),
        (f"{HEAD}\na,pets,high\n", "line 2: accuracy must be a finite number, got 'high'"),
        (f"{HEAD}\na,pets,inf\n", "line 2: accuracy must be a finite number"),
        (f"{HEAD}\na,pets,-0.1\nb,pets,0.5\n", "got -0.1 to 0.5"),
        (f"{HEAD}\na,pets,120\n", "got 120 to 120"),
        (f"{HEAD}\na,pets,90\nb,cars,0.5\n", "accuracies of cars lie within 0 and 1"),
        (f"{HEAD}\n,pets,0.5\n", "line 2: model"),
        (f"{HEAD},parameters\na,pets,0.5,many\n", "line 2: parameters must be a finite number"),
        (f"{HEAD},parameters\na,pets,0.5,-3\n", "line 2: parameters"),
        (f"{HEAD},diverged\na,pets,0.5,maybe\n", "line 2: diverged must be true or false"),
        (f"{HEAD},accuracy\na,pets,0.5,0.6\n", "'accuracy' twice"),
        (f"{HEAD}\na,pets,\n", "holds no result"),
        (f'{HEAD}\n"a,pets,0.5\n', "is no CSV file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, says):
    with pytest.raises(InvalidHistory) as refused:
        parse_history(text)
    assert says in refused.value.reason
    assert refused.value.code == "history_invalid"


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(InvalidHistory, match="cannot be read"):
        read_history(tmp_path / "nowhere.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InvalidHistory, match="UTF-8"):
        read_history(tmp_path / "image.csv")


def test_how_a_result_was_made_is_its_protocol_and_protocols_are_not_mixed():
    head = "model,dataset,accuracy,method,epochs,learning_rate"
    found = parse_history(f"{head}\na,x,0.9,lora,3,0.1\na,y,0.8,lora,3,0.01\nb,x,0.7,full,3,0.1\n")
    assert [row.protocol for row in found.rows] == ["method lora, epochs 3"] * 2 + ["method full, epochs 3"]
    with pytest.raises(InvalidHistory, match="2 protocols"):
        History.of(found.rows)
    assert History.of(found.rows[:2]).accuracy.tolist() == [[0.9, 0.8]]


def test_runs_of_one_checkpoint_on_one_dataset_are_averaged_and_what_is_missing_is_nan():
    runs = [("a", "x", 0.5), ("a", "x", 0.7), ("b", "y", 0.4)]
    history = History.of([PastResult(model=m, dataset=d, accuracy=value) for m, d, value in runs])
    np.testing.assert_allclose(history.accuracy, [[0.6, np.nan], [np.nan, 0.4]])
    with pytest.raises(HistoryTooSmall):
        history.without("x")


def test_normal_scores_are_quantiles_of_middle_ranks():
    values = np.array([0.3, 0.3, np.nan, 0.9, -1.0, 0.3])
    known = values[~np.isnan(values)]
    expected = [norm.ppf((rank - 0.5) / 5) for rank in rankdata(known)]
    np.testing.assert_allclose(normal_scores(values)[~np.isnan(values)], expected, atol=1e-12)
    assert np.isnan(normal_scores(values)[2])


def test_results_that_nothing_was_learned_for_are_told_from_solved_sets_and_from_chance_ties():
    def rows(dataset, values):
        return [PastResult(model=str(i), dataset=dataset, accuracy=value) for i, value in enumerate(values)]

    stuck = rows("stuck", [0.25] * 6 + [0.6, 0.7, 0.8, 0.9])
    solved = rows("solved", [1.0] * 6 + [0.99, 0.98, 0.97])
    tied = rows("tied", [0.25] * 4 + [0.6, 0.7, 0.8, 0.9])
    assert collapsed_results(stuck + solved + tied).tolist() == [True] * 6 + [False] * (4 + 9 + 8)
