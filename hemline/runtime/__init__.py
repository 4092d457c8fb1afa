"""What a process computes on and leaves behind: devices, compiled programs, native noise, provenance, its code.

    device = select("gpu")                              # hemline.runtime.devices; DeviceError if there is none
    use_compile_cache(data / "xla-cache")               # hemline.runtime.compile_cache; before TensorFlow is imported
    with noise_in(run / "run.log"): ...                 # hemline.runtime.native_log
    provenance()                                        # commit, versions, time
    digest_of("hemline.proofs.parity")                  # hemline.runtime.code; what a proof depends on

Others import anything of it; it imports `errors`, `config` and `storage`. A setting that changes the bits of a result
belongs into the settings of `devices`, so that a checkpoint, a proof and a manifest name it.
"""
