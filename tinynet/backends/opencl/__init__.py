"""The OpenCL backend: lazy arrays, one kernel for each expression."""
