"""From tiles of predictions to maps: tiling, blending, Cloud-Optimised GeoTIFF, previews."""
