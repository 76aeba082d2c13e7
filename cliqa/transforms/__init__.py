"""Image transforms: decoding, pipelines, crops."""
