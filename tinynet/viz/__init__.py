"""Seeing inside a convolutional network (Zeiler & Fergus 2014, arXiv:1311.2901).

Functions that compute, and can do without matplotlib:

* `layers`: `feature_maps` of any layer, and the `strongest` unit in them
* `deconvnet`: `reconstruct`, from a unit's activation back to pixels
* `occluding`: `occlusion`, the score of a class while a patch hides parts of the image
* `fields`: `receptive_field`, which pixels a unit sees
* `images`: `filters` of a convolution, and `stretch` and `tile`, which make one image of many

Functions that draw are in `figures`: `draw_images`, `draw_occlusion`, `save_grid`; also
`plot_schedules`, of learning rates.

Graphs of operations, to look around in, are in `graphs`: `graph` draws what autodiff recorded,
`kernels` what ran on a device.
"""

from tinynet.viz.deconvnet import reconstruct
from tinynet.viz.fields import ReceptiveField, receptive_field
from tinynet.viz.figures import draw_images, draw_occlusion, plot_schedules, save_grid
from tinynet.viz.graphs import Graph, Vertex, graph, kernels
from tinynet.viz.images import filters, stretch, tile
from tinynet.viz.layers import Unit, feature_maps, strongest
from tinynet.viz.occluding import occlusion

__all__ = [
    "Graph",
    "ReceptiveField",
    "Unit",
    "Vertex",
    "draw_images",
    "draw_occlusion",
    "feature_maps",
    "filters",
    "graph",
    "kernels",
    "occlusion",
    "plot_schedules",
    "receptive_field",
    "reconstruct",
    "save_grid",
    "stretch",
    "strongest",
    "tile",
]
