import json

import numpy as np
import pandas as pd
import pytest

from isocortex.inference import rows
from isocortex.storage.tables import read_parquet, write_parquet


def test_a_row_has_every_column_of_the_table_in_order():
    row = rows.new_row(score=np.float32(0.5), n_stimuli=np.int64(3), is_chosen=np.True_, p=float("nan"), note="x")
    assert list(row) == [*rows.KEY_COLUMNS, *rows.VALUE_COLUMNS]
    assert row["score"] == 0.5
    assert type(row["score"]) is float
    assert type(row["n_stimuli"]) is int
    assert row["p"] is None
    assert row["layer"] == ""
    assert row["is_chosen"] is True
    assert row["higher_is_closer"] is True


def test_an_unknown_column_is_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown columns \['scor'\]"):
        rows.new_row(scor=1.0)


def test_rows_survive_json_and_parquet_unchanged(tmp_path):
    made = [rows.new_row(subject="S1", score=0.25, n_null=99), rows.new_row(subject="é", score=float("nan"), seed=0)]
    assert rows.rows_from_json(rows.rows_to_json(made)) == made
    frame = rows.to_frame(made)
    write_parquet(frame, tmp_path / "t.parquet")
    back = read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(back, frame)
    assert rows.to_rows(back) == made
    assert json.loads(rows.rows_to_json(made))[1]["score"] is None


@pytest.mark.parametrize("columns", [rows.SCORE_COLUMNS, rows.COMPARISON_COLUMNS, rows.INFERENCE_COLUMNS])
def test_an_empty_table_has_the_columns_and_types_of_a_full_one(columns):
    empty = rows.to_frame([], columns)
    full = rows.to_frame([{columns[0]: "x"}], columns)
    assert list(empty.columns) == list(columns)
    assert empty.dtypes.equals(full.dtypes)
