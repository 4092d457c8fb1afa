"""The custom training loop: exercise 2, resumed bit for bit.

    trained = train(config, dataset, device, directory, say=print)      # hemline.training.run

`loop` is the compiled step and the loop over it, `feed` what it is fed with, `groups` which optimizer trains what,
`checkpoints` all that the next step depends on, `history` the tables, `progress` what a person sees meanwhile.
Others import `run`, `loop`, `groups` and `multi_optimizer`; it imports every room below but `registry` and `gate`.
All that the next step depends on must be a function of (seed, epoch, step) or part of a checkpoint.
"""
