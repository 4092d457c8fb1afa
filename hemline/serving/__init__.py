"""A server of one model's champion, with the REST paths of TensorFlow Serving: docs/serve.md.

Others import `champion.Champion` and `app.make_app`. Nothing here writes a version or decides about one.
"""
