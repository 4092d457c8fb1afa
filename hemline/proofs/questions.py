"""The chapter's nine questions: what it asks, what it answers, what is claimed here. No TensorFlow to import.

QUESTIONS[7].claim, QUESTIONS[7].correction     # a sentence each; `hemline.proofs.claims` gathers the evidence
RELIED_ON[7]                                    # why `retrain` needs it to be true
"""

# ruff: noqa: RUF001  the chapter's punctuation is Chinese
from hemline.records.proofs import Question

QUESTIONS: dict[int, Question] = {
    1: Question(
        "Is TensorFlow a drop-in replacement for NumPy? What are the main differences?",
        "TensorFlow 是否可以简单替代 NumPy？两者之间的主要区别是什么？",
        "不能简单替代；NumPy 仅 CPU、无自动求导，TF 支持 GPU/TPU、可导、图优化",
        "No: TensorFlow adds devices, gradients and optimised graphs, its tensors cannot be changed, it mixes no "
        "dtypes, and what has the same name may do something else.",
    ),
    2: Question(
        "Do `tf.range(10)` and `tf.constant(np.arange(10))` give the same result?",
        "使用 `tf.range(10)` 和 `tf.constant(np.arange(10))` 是否会得到相同的结果？",
        "数值相同，但数据类型可能不同",
        "The values are equal, the dtypes are int32 and int64; two tensors of these are not mixed, while an array "
        "beside an int32 tensor is cast to it, and large values wrap around without a word.",
    ),
    3: Question(
        "When is a custom loss a function, and when a subclass of `Loss`?",
        "可以通过编写函数或继承 `tf.keras.losses.Loss` 来定义自定义损失函数。两种方法分别应该在什么时候使用？",
        "简单无状态损失用函数，需要参数/序列化/有状态时用继承 Loss 类",
        "A function serves where there is nothing to configure; a subclass keeps its parameters and its reduction "
        "through save and load.",
        "A subclass is for configuration, not for state: a variable in a Loss is neither the model's nor saved.",
    ),
    4: Question(
        "When is a custom metric a function, and when a subclass of `Metric`?",
        "可以直接在函数中定义自定义指标或采用 `tf.keras.metrics.Metric` 子类。两种方法分别应该在什么时候使用？",
        "函数：单批即得结果；子类：需跨批累积",
        "A function serves where the metric is a mean over examples; precision is not, the mean of its values in the "
        "batches is not its value over the data, and a subclass that keeps the counts is right.",
        "One batch or many is not what decides: Keras averages a function's values over the batches, which is right "
        "for one value an example, and wrong for one a batch.",
    ),
    5: Question(
        "When should one write a custom layer rather than a custom model?",
        "什么时候应该自定义层而不是自定义模型？",
        "定义可复用计算块时自定义层，定义完整网络架构或训练行为时自定义模型",
        "A layer is a block for use in models; a model is a layer that can besides be compiled, fitted, saved and "
        "summarised, and may define its own training step.",
    ),
    6: Question(
        "Which cases need a custom training loop?",
        "有哪些示例需要编写自定义训练循环？",
        "GANs等对抗训练、强化学习、自定义梯度处理、多模型联合训练等复杂场景",
        "Several optimizers, alternating opponents and gradients that are changed before they are applied are a few "
        "lines each in a loop of one's own.",
        "Few of them need one any more: `fit` takes several optimizers in a MultiOptimizer, and a model's own "
        "`train_step` can alternate.",
    ),
    7: Question(
        "Can custom Keras components contain arbitrary Python, or must it be convertible to TF functions?",
        "自定义 Keras 组件中可以包含任意 Python 代码，还是必须转换为 TF 函数？",
        "必须转换为 TF 函数。任意 Python 代码可能导致图构建失败或性能下降",
        "Python in a component runs while the graph is traced, and what depends on a tensor's value must be made of "
        "graph operations.",
        "It need not be: `run_eagerly=True` runs any Python for every batch, `tf.py_function` within a graph, at the "
        "price of speed and of gradients. Nor is it converted by itself: Keras 3 traces a component without "
        "AutoGraph, so a Python `if` on a tensor needs `@tf.function` on it, or `keras.ops.cond`.",
    ),
    8: Question(
        "What should one avoid in a function that is to become a TF function?",
        "如果要将函数转换为 TF 函数，应避免哪些主要模式？",
        "避免使用 Python方法、内部创建变量、使用可变数据结构输入、依赖会改变的全局变量。",
        "To be avoided are side effects, variables made inside, Python numbers as arguments, what is captured and then "
        "changed, and long loops over Python data.",
        "Not Python as such: what is the same in every call, such as a loop over a few layers, may well run while "
        "tracing. The answer leaves out Python numbers as arguments, each of which is a new graph.",
    ),
    9: Question(
        "When is a dynamic model needed, how is it made, and why not make every model dynamic?",
        "何时需要创建动态 Keras 模型？ 如何动态创建Keras模型？为什么不是所有模型都动态化？",
        "当模型结构需在运行时确定时（如 RNNs、树状网络）。通过继承 Model 类并在 call 方法中使用控制流创建。"
        "不都动态化是因为静态图性能更好、更易部署和可视化。",
        "For a structure that the data decides, in a subclass with control flow; a static graph is faster, can be "
        "deployed without its code, and knows its layers.",
        "Control flow in `call` alone is refused by Keras 3, which has no `dynamic=True` any more: `run_eagerly=True` "
        "takes it, and under `@tf.function` it becomes part of one graph, which loops as the data says and is "
        "deployed like any other.",
    ),
}

# What a run of `retrain` would compute wrongly, or not at all, if the claim failed. Not here: its loss is a plain
# function (3), its means are taken over examples outside Keras (4), its model is static (9).
RELIED_ON: dict[int, str] = {
    1: "gradients, float32 inside the model whatever the dtype of the pixels, and a device that computes",
    2: "labels and indices are made int32 by name, and compared with int32 predictions",
    5: "LayerNorm is a block that the model uses twice and that is saved with it",
    6: "the loop gives each group of variables its own optimizer",
    7: "AutoGraph converts the loop over steps, and Python runs through the groups while tracing",
    8: "the bounds of a chunk of steps are tensors, so one trace serves them all",
}
