"""The TensorBoard callback: its files of events, read back record by record."""

import io
import struct
import sys

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn, optim
from tinynet.errors import ArgumentError, DataError, MissingDependencyError
from tinynet.train import Accuracy, TensorBoard, Trainer
from tinynet.train.model_graph import trace_graph

pytest.importorskip("tensorboardX")


def read_events(folder):
    """All events of a folder's files, oldest file first: length, its checksum, data, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        place = 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            yield Event.FromString(content[place + 12 : place + 12 + length])
            place += 12 + length + 4


def read_values(folder):
    """By tag: a list of (step, value)."""
    found = {}
    for event in read_events(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value))
    return found


def trainer_with(callback, **options):
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Tanh(), nn.Linear(4, 2))
    data = [(tn.randn(4, 3), tn.tensor([0, 1, 1, 0])) for _ in range(3)]
    return Trainer(
        model, data, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1),
        validation=data[:1], metrics=[Accuracy()], callbacks=[callback] if callback else [],
        progress=False, **options,
    )  # fmt: skip


def test_scalars_and_histograms_are_those_of_the_run(tmp_path):
    callback = TensorBoard(tmp_path / "run", every=2, graph=tn.zeros(1, 3))
    trainer = trainer_with(callback)
    history = trainer.fit(2)
    values = read_values(tmp_path / "run")
    for tag, column in (
        ("loss/training", "loss"), ("loss/validation", "validation_loss"), ("lr", "lr"),
        ("accuracy/training", "accuracy"), ("accuracy/validation", "validation_accuracy"),
    ):  # fmt: skip
        assert [step for step, _ in values[tag]] == [3, 6]
        written = [value.simple_value for _, value in values[tag]]
        assert written == pytest.approx(history[column], rel=1e-6)
    assert [(step, x.simple_value) for step, x in values["epoch"]] == [(3, 1), (6, 2)]
    assert [step for step, _ in values["loss/step"]] == [2, 4, 6]
    last = values["loss/step"][-1][1].simple_value
    assert last == pytest.approx(history["loss"][-1], rel=1e-6)
    for kind, tensors in (
        ("parameters", dict(trainer.model.named_parameters())),
        ("gradients", {name: x.grad for name, x in trainer.model.named_parameters()}),
    ):
        for name, x in tensors.items():
            step, value = values[f"{kind}/{name.replace('.', '/')}"][-1]
            numbers = x.detach().numpy().astype(np.float64)
            assert step == 6
            assert value.histo.num == numbers.size == sum(value.histo.bucket)
            assert value.histo.sum == pytest.approx(numbers.sum())
            assert (value.histo.min, value.histo.max) == (numbers.min(), numbers.max())


def test_the_run_is_the_same_without_it(tmp_path):
    """Nothing of it touches the random numbers or the model: losses agree to the last bit."""
    plain = trainer_with(None)
    expected = plain.fit(2)
    drawn = trainer_with(TensorBoard(tmp_path, every=1, graph=tn.zeros(1, 3)))
    assert drawn.fit(2) == expected
    pairs = zip(plain.model.parameters(), drawn.model.parameters())
    assert all((a == b).all() for a, b in pairs)


def test_images_are_tiles(tmp_path):
    image = pytest.importorskip("PIL.Image")

    def images(trainer):
        ramp = tn.arange(12.0).reshape(1, 3, 4) * trainer.epoch
        return {"ramp": ramp, "colours": tn.zeros(4, 3, 2, 2)}

    trainer_with(TensorBoard(tmp_path, images=images, histograms=2)).fit(3)
    values = read_values(tmp_path)
    ((step, ramp),) = values["ramp"]
    assert step == 6
    picture = np.array(image.open(io.BytesIO(ramp.image.encoded_image_string)).convert("L"))
    np.testing.assert_array_equal(picture, np.round(np.arange(12).reshape(3, 4) / 11 * 255))
    ((_, colours),) = values["colours"]
    assert (colours.image.height, colours.image.width, colours.image.colorspace) == (5, 5, 3)
    assert len(values["parameters/0/weight"]) == 1  # of every second epoch


def test_the_graph_in_the_file_is_the_model_s(tmp_path):
    from tensorboardX.proto.graph_pb2 import GraphDef

    trainer_with(TensorBoard(tmp_path, graph=tn.zeros(1, 3))).fit(1)
    (content,) = [x.graph_def for x in read_events(tmp_path) if x.graph_def]
    nodes = {node.name: node for node in GraphDef.FromString(content).node}
    linear = nodes["Sequential/Linear[3]/linear"]
    assert list(linear.input)[1:] == ["Sequential/Linear[3]/weight", "Sequential/Linear[3]/bias"]
    (shape,) = linear.attr["_output_shapes"].list.shape
    assert [dim.size for dim in shape.dim] == [1, 2]
    assert list(nodes["output"].input) == ["Sequential/Linear[3]/linear"]
    assert any(name.startswith("Sequential/Dropout[1]/") for name in nodes)


def test_every_edge_leads_to_an_earlier_node():
    """Several inputs, a module that runs twice, a sum of branches, functions between modules."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
            self.norm = nn.BatchNorm1d(2)

        def forward(self, a, b):
            return self.norm(self.layers(a) + self.layers(b).exp())

    net = Net().eval()
    before = tn.get_rng_state()
    nodes = trace_graph(net, (tn.ones(4, 2), tn.ones(4, 2)))
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    for i, node in enumerate(nodes):
        assert set(node.inputs) <= set(names[:i])
    assert names[:2] == ["input", "input_1"]
    assert names[-1] == "output"
    linears = [node for node in nodes if node.op == "linear"]
    assert [node.name for node in linears] == [
        "Net/Sequential[layers]/Linear[0]/linear", "Net/Sequential[layers]/Linear[0]/linear_1",
    ]  # fmt: skip
    assert [node.inputs[0] for node in linears] == ["input", "input_1"]
    assert {"Net/add", "Net/exp"} <= set(names)
    assert sum(name.endswith("/weight") for name in names) == 2
    assert tn.get_rng_state() == before
    assert not net.training
    assert net.norm.num_batches_tracked.item() == 0


def test_integer_inputs_are_not_seen():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    names = [node.name for node in trace_graph(model, tn.tensor([0, 1]))]
    assert "input" not in names
    assert names[0] == "Sequential/Embedding[0]/weight"
    with pytest.raises(ArgumentError, match="the output has no graph, expected one that leads"):
        trace_graph(nn.Flatten(), tn.tensor([[0, 1]]))


def test_a_run_that_goes_on_takes_back_what_came_after_its_checkpoint(tmp_path):
    folder, checkpoint = tmp_path / "run", tmp_path / "checkpoint"
    graph = tn.zeros(1, 3)
    trainer_with(TensorBoard(folder, graph=graph), checkpoint=checkpoint).fit(1)
    again = trainer_with(TensorBoard(folder, graph=graph), checkpoint=checkpoint)
    again.fit(2)
    events = list(read_events(folder))
    (start,) = [event for event in events if event.session_log.status]
    assert start.step == 4  # TensorBoard drops earlier events from this step on
    assert sum(bool(event.graph_def) for event in events) == 1
    assert [step for step, _ in read_values(folder)["epoch"]] == [3, 6]


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    callback = TensorBoard(tmp_path)
    trainer = trainer_with(callback)
    callback.on_fit_start(trainer)
    with tn.no_grad():
        trainer.model[0].weight[0, 0] = float("nan")
        trainer.model[0].bias.fill_(float("inf"))
    callback.add_histograms(trainer)
    callback.on_fit_end(trainer)
    callback.on_fit_end(trainer)  # closing twice is no error
    values = read_values(tmp_path)
    assert values["parameters/0/weight"][0][1].histo.num == 11
    assert "parameters/0/bias" not in values
    assert not any(tag.startswith("gradients") for tag in values)  # there were none yet


def test_what_makes_no_sense(tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match="TensorBoard: every is -1, expected 0 or more"):
        TensorBoard(tmp_path, every=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"TensorBoard: .*file: .*, expected a folder to write to"):
        trainer_with(TensorBoard(tmp_path / "file")).fit(1)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tinynet\[tensorboard\]'"):
        trainer_with(TensorBoard(tmp_path / "run")).fit(1)
