"""Cached pipelines: functions become stages, `>>` makes a graph of them, and results are kept.

@Stage.wrap()
def numbers(): ...

pipeline = numbers >> total
pipeline(Config(load=True))
"""

from __future__ import annotations

from ckpt.pipeline.config import Config
from ckpt.pipeline.drawing import Graph
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.planning import Plan, Step
from ckpt.pipeline.stages import Stage

__all__ = ["Config", "Graph", "Pipeline", "Plan", "Stage", "Step"]
