"""The custom training loop: exercise 2, resumed bit for bit.

    trained = train(config, dataset, device, directory, say=print)      # hemline.training.run

`step` is the step of the exercise, which `loss_scale` and `replicas` are put around, and `loop` compiles and repeats it
with the examples of `feed`; `groups` says which optimizer trains what. `checkpoints` holds all that the next step
depends on, `history` the tables, `progress` what a person sees meanwhile; `multi_optimizer` is for `model.fit`.
Others import `run`, `loop`, `groups` and `multi_optimizer`; it imports every room below but `registry` and `gate`.
All that the next step depends on must be a function of (seed, epoch, step) or part of a checkpoint.
"""
