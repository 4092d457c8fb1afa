"""A server of one model's champion, with the REST paths of TensorFlow Serving: docs/serve.md.

    champion = Champion(Registry(artifacts, "fashion_mnist"), say=print)    # hemline.serving.champion: loaded, followed
    uvicorn.run(make_app(champion), port=8501)                              # hemline.serving.app

Others import `Champion` and `make_app`. Nothing here writes a version or decides about one.
"""
