"""How good a model is on a whole split, from disk as its users will have it, and how fast it answers.

    logits = compile_predict(model)(images)             # hemline.evaluation.scores
    evaluation = evaluate_saved(trained)  # hemline.evaluation.saved

Others import anything of it. A number that is added to `evaluate` is a field of `hemline.records.run.Quality`.
"""
