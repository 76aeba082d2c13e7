"""CLEAR-100 (101 classes with the background), as `clear10_iid.py`."""

_base_ = ["./clear10_iid.py"]

scenario = dict(data_name="clear100", dataset_root="data/CLEAR-100")
