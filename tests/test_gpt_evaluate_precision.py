"""In which numbers a GPT scores."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import make_gpt, make_store

from gpt.evaluate import evaluate
from gpt.options import EvaluateOptions
from training.precision import bf16_speed


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    make_gpt().save_pretrained(tmp_path / "gpt")
    return {"gpt": tmp_path / "gpt", "tokens": make_store(tmp_path / "store")}


def test_scores_in_bf16_are_close_to_those_in_fp32_and_others(asked: dict[str, Any]) -> None:
    whole, half = (evaluate(EvaluateOptions(**asked, precision=name))["gpt_nll"] for name in ("fp32", "bf16!"))
    assert half != whole
    assert half == pytest.approx(whole, rel=0.02)


def test_the_choice_is_said(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(EvaluateOptions(**asked, precision="auto"))
    assert "precision    " in capsys.readouterr().err


def test_bf16_is_refused_where_it_is_slower(asked: dict[str, Any]) -> None:
    if bf16_speed(torch.device("cpu")) < 1:
        with pytest.raises(ValueError, match=r"^--precision bf16 is 0\.\d+x as fast as fp32 on this processor: give"):
            evaluate(EvaluateOptions(**asked, precision="bf16"))


@pytest.mark.parametrize(("precision", "named"), [("fp32", None), ("bf16!", "bf16")])
def test_what_is_printed_names_a_precision_that_is_not_fp32(
    precision: Any, named: str | None, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(EvaluateOptions(**asked, precision=precision))
    assert json.loads(capsys.readouterr().out).get("precision") == named
