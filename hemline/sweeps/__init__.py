"""Searches for a better configuration: what was tried, what came of it, and the best as a recipe.

    study = Study(directory, config)                    # hemline.sweeps.study; goes on where it was
    leaders = study.leaders()                           # best first; hemline.sweeps.leaderboard has their pictures

Optuna chooses the values and keeps the record; flows/sweep.py runs them. Others import anything of it.
"""
