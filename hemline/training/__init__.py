"""The custom training loop: exercise 2, resumed bit for bit.

    trained = train(config, dataset, device, directory, say=print)      # hemline.training.run

`loop` compiles and repeats the `step` of the exercise, which `loss_scale` and `replicas` wrap. Others import `run`,
`loop`, `groups` and `multi_optimizer` (for `model.fit`). All that the next step depends on must be a function of (seed,
epoch, step) or part of a checkpoint.
"""
