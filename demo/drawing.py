"""Drawn photos of four kinds of flyers, alone or as a whole lake of files."""

from demo.lake import Planted, draw_lake
from demo.photo import CLASSES, draw_photo

__all__ = ["CLASSES", "Planted", "draw_lake", "draw_photo"]
