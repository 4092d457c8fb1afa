"""What a new model must show to be promoted: Gate(margin=0.5, promotion="manual").

Each limit here has its rule in `RULES` of `hemline.gate.rules`; None is no limit.
"""

from typing import Literal

from pydantic import Field

from hemline.config.fields import Strict


class Gate(Strict):
    """What a new model must show to take the champion's place. Points are percent of the test examples."""

    minimum_accuracy: float = Field(0, ge=0, le=1, description="share of the test examples that must be right")
    margin: float = Field(
        0,
        ge=-100,
        le=100,
        title="Margin (points)",
        description="points that the gain must be proven to exceed; negative: allowed loss",
    )
    decisions: int = Field(
        365,
        ge=1,
        le=1_000_000,
        description="comparisons that a test split is for: the chance that any of them promotes a version that is no "
        "better stays below 5 %",
    )
    max_class_drop: float = Field(
        10, ge=0, le=100, title="Max class drop (points)", description="points that the recall of any class may fall"
    )
    max_latency_ms: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        title="Max latency (ms)",
        description="milliseconds that predicting a single image may take; null: any",
    )
    max_size_mb: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        title="Max size (MB)",
        description="megabytes (10^6) that the version's models may have; null: any",
    )
    promotion: Literal["auto", "manual"] = Field("auto", description="'manual' asks a person about what passes")
    approval_hours: float = Field(
        12,
        gt=0,
        le=24 * 14,
        title="Approval (hours)",
        description="manual: hours to wait; then the champion stays",
    )
