"""The custom training loop: exercise 2, resumed bit for bit.

    trained = train(config, dataset, device, directory, say=print)      # hemline.training.run

`loop` compiles and repeats the `step` of the exercise with the examples of `feed` and the optimizers of `groups`;
`loss_scale` and `replicas` wrap that step; `multi_optimizer` is for `model.fit`. All that the next step depends on must
be a function of (seed, epoch, step) or part of `checkpoints`.
"""
