"""How Prefect runs each step: retries, caching, timeouts and UI artifacts, one file a step.

What a step computes is in `hemline`. TensorFlow is imported inside the functions: deploying, hooks and
the UI's form import these files again and again, and must not wait for it.
"""
