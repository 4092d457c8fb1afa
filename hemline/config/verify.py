"""What `verify` can be told: VerifyConfig(grid="full").proofs_path."""

from pydantic import Field

from hemline.config.fields import Device, Grid, WithArtifacts


class VerifyConfig(WithArtifacts):
    """One proof of the layer and of the claims on the machine that will train."""

    device: Device = Field("auto", description="where to prove; 'gpu' fails at once if no GPU is visible")
    grid: Grid = Field(
        "default", description="cases of layer parity: 'default' has every value of each axis, 'full' all together"
    )
