"""What a process computes on and leaves behind: devices, compiled programs, native noise, provenance, its code.

    device = select("gpu")                              # hemline.runtime.devices; DeviceError if there is none
    with noise_in(run / "run.log"): ...                 # hemline.runtime.native_log
    digest_of("hemline.proofs.parity")                  # hemline.runtime.code; what a proof depends on

Others import anything of it. A setting that changes the bits of a result
is added to the settings in `devices`: checkpoints, proofs and manifests name it then.
"""
