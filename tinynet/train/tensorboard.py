"""`TensorBoard`: a callback that writes what TensorBoard shows, through tensorboardX."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinynet.errors import ArgumentError, DataError, MissingDependencyError
from tinynet.tensor import Tensor
from tinynet.train.callbacks import Callback
from tinynet.train.curves import VALIDATION
from tinynet.train.model_graph import trace_graph
from tinynet.viz.images import stretch, tile

if TYPE_CHECKING:
    from tinynet.train.loop import Trainer

Images = Tensor | NDArray[Any]


class TensorBoard(Callback):
    """Writes a run to `folder`, for `tensorboard --logdir folder`.

    * Scalars, each epoch: "loss/training" and "loss/validation", the same for metrics; "lr";
      "epoch". With `every=n` also "loss/step" and its kin, the means of the epoch so far, each `n`
      steps; that waits for the device.
    * Histograms, each `histograms` epochs (0: never): "parameters/..." and "gradients/...", those
      of the last step, clipped if they are. Numbers that are not finite are left out.
    * Images: `images(trainer)` gives a dict of names and images, (n, height, width) or (n, 1 or 3,
      height, width), as often as histograms. Each image is scaled by itself, all of a name are
      tiles of one picture.
    * The graph of the model, if `graph` has inputs to run it on: those of a batch, one sample will
      do. See `trace_graph`.

    All is plotted over steps of the optimiser. A run that goes on from a checkpoint takes back what
    was written after it. Needs tensorboardX (`pip install 'tinynet[tensorboard]'`), images need
    pillow, else `MissingDependencyError`. A folder that cannot be written to raises `DataError`.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, every: int = 0, histograms: int = 1,
        images: Callable[[Any], Mapping[str, Images]] | None = None, graph: Any = None,
    ) -> None:  # fmt: skip
        for name, value in (("every", every), ("histograms", histograms)):
            if not isinstance(value, int) or value < 0:
                raise ArgumentError(f"TensorBoard: {name} is {value!r}, expected 0 or more")
        self.folder = os.fspath(folder)
        self.every = every
        self.histograms = histograms
        self.images = images
        self.graph = graph
        self.writer: Any = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Open a file of events; write the graph, if the run is new."""
        self.close()
        self.writer = _open_writer(self.folder, trainer.step)
        if self.graph is not None and not trainer.step:
            event = _as_event(trace_graph(trainer.model, self.graph))
            self.writer.file_writer.add_event(event)

    def on_step_end(self, trainer: Trainer) -> None:
        """Write the means of the epoch so far, if it is time."""
        if self.every and trainer.step % self.every == 0:
            for name, value in trainer.read_logs().items():
                self.writer.add_scalar(f"{name}/step", value, trainer.step)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the epoch's row, histograms and images."""
        for name, value in trainer.logs.items():
            self.writer.add_scalar(_tag(name), value, trainer.step)
        self.writer.add_scalar("epoch", trainer.epoch, trainer.step)
        if self.histograms and trainer.epoch % self.histograms == 0:
            self.add_histograms(trainer)
            for name, images in (self.images(trainer) if self.images else {}).items():
                self.add_images(name, images, trainer.step)
        self.writer.flush()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Write all that is left."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def add_histograms(self, trainer: Trainer) -> None:
        """Write the distributions of parameters and gradients."""
        for name, x in trainer.model.named_parameters():
            for kind, values in (("parameters", x), ("gradients", x.grad)):
                if values is None:
                    continue
                numbers = values.detach().cpu().numpy().astype(np.float64)
                numbers = numbers[np.isfinite(numbers)]
                if numbers.size:
                    tag = f"{kind}/{name.replace('.', '/')}"
                    self.writer.add_histogram(tag, numbers, trainer.step)

    def add_images(self, name: str, images: Images, step: int) -> None:
        """Write images as tiles of one."""
        picture = (tile(stretch(images)) * 255).round().astype(np.uint8)
        form = "HW" if picture.ndim == 2 else "HWC"
        try:
            self.writer.add_image(name, picture, step, dataformats=form)
        except ImportError as error:
            raise MissingDependencyError(
                f"TensorBoard: {error.name} is not installed, expected it for images: "
                "pip install pillow"
            ) from error


def _open_writer(folder: str, step: int) -> Any:
    """A writer into a new file in `folder`, which takes back what was written after `step`."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError(
            "TensorBoard: tensorboardX is not installed, expected it: "
            "pip install 'tinynet[tensorboard]'"
        ) from error
    try:
        os.makedirs(folder, exist_ok=True)
        return SummaryWriter(
            folder,
            purge_step=step + 1 if step else None,
            filename_suffix=f".{step:09}.{os.getpid()}",  # tensorboardX counts seconds only
        )
    except OSError as error:
        raise DataError(
            f"TensorBoard: {folder}: {error.strerror}, expected a folder to write to"
        ) from error


def _tag(name: str) -> str:
    """A column's place in TensorBoard, which shows "loss/training" beside "loss/validation"."""
    if name.startswith(VALIDATION):
        return f"{name.removeprefix(VALIDATION)}/validation"
    return name if name == "lr" else f"{name}/training"


def _as_event(nodes: Any) -> Any:
    """A graph as the event that TensorBoard reads."""
    from tensorboardX.proto.attr_value_pb2 import AttrValue
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.graph_pb2 import GraphDef
    from tensorboardX.proto.node_def_pb2 import NodeDef
    from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboardX.proto.versions_pb2 import VersionDef

    made = []
    for name, op, inputs, shape in nodes:
        sizes = TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in shape])
        shapes = AttrValue(list=AttrValue.ListValue(shape=[sizes]))
        made.append(NodeDef(name=name, op=op, input=inputs, attr={"_output_shapes": shapes}))
    graph = GraphDef(node=made, versions=VersionDef(producer=22))
    return Event(graph_def=graph.SerializeToString())
