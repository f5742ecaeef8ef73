"""Pictures of graphs: what autodiff recorded, and what was fused into which kernel.

* `model`: `Graph`, what all of these are, as data; printed, saved, shown in notebooks
* `autodiff`: `graph`, of the operations that lead to a tensor
* `kernels`: `kernels`, of what ran on a device
* `layout`: where vertices and edges lie; `svg`: the drawing; `page`: the page to look around in
* `texts`: DOT, Mermaid and a table
"""

from tinynet.viz.graphs.autodiff import graph
from tinynet.viz.graphs.kernels import kernels
from tinynet.viz.graphs.model import Graph, Vertex

__all__ = ["Graph", "Vertex", "graph", "kernels"]
