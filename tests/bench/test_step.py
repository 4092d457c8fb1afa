"""The table of where a step's time goes: which operation belongs where, and that the rows add up."""

import pytest

from bench.step import PARTS, operations, part_of, table

PROGRAM = """
%body (p: (f32[8,8], f32[8])) -> (f32[8], f32[8]) {
  %dot.1 = f32[8,8]{1,0} dot(%p.1, %p.2), metadata={op_type="MatMul" op_name="while/mlp_1/hidden_1_1/MatMul"}
  %half = f32[4]{0} fusion(%dot.1), kind=kLoop
  ROOT %whole.2 = f32[]{0} fusion(%half), kind=kLoop, metadata={op_name="while/mlp_1/norm_1_1/Mean"}
  %alone = f32[] copy(%p.3)
}
"""


def test_the_first_half_of_a_sum_belongs_where_the_second_does() -> None:
    assert operations(PROGRAM) == {
        "dot.1": "while/mlp_1/hidden_1_1/MatMul",
        "half": "while/mlp_1/norm_1_1/Mean",
        "whole.2": "while/mlp_1/norm_1_1/Mean",
        "alone": "",
    }


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("gradient_tape/while/mlp_1/hidden_1_1/MatMul/MatMul_1", "matrix products"),
        ("while/adam/AssignSubVariableOp_4", "optimizers"),
        ("gradient_tape/while/mlp_1/norm_1_1/mul_2/Sum", "LayerNorm, both ways"),
        ("while/mul_12", "LayerNorm, both ways"),  # of its gradient, which is written out
        ("while/mul", "loss and hits"),
        ("while/mlp_1/scale_1/mul", "gather and scale"),
        ("gradient_tape/while/mlp_1/hidden_1_1/BiasAdd/BiasAddGrad", "bias and relu, both ways"),
        ("while/TensorScatterUpdate", "loop"),
        ("", "loop"),
    ],
)
def test_an_operation_belongs_to_one_part(operation: str, part: str) -> None:
    assert part_of(operation) == part


def test_the_rows_add_up_to_the_step() -> None:
    """Two products of 30 µs, one kernel of 15 that runs twice a step, and 10 of 100 µs between kernels."""
    kernels = {
        "dot.1": (30.0, 1.0, "while/hidden_1/MatMul"),
        "dot.2": (30.0, 1.0, "while/hidden_2/MatMul"),
        "sum": (15.0, 2.0, "while/norm_1/Mean"),
    }
    rows = list(table(100.0, kernels))
    assert rows[1] == "| matrix products | 60 | 60% | 2 |"
    assert "| LayerNorm, both ways | 30 | 30% | 2 |" in rows
    assert rows[-2:] == ["| between kernels | 10 | 10% | |", "| **the step** | **100** | | **4** |"]
    assert len(rows) == 1 + len(PARTS) + 2
