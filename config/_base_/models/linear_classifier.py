"""A linear classifier over 2048 precomputed features, for CLEAR-10's 11 classes."""

model = dict(type="FeatureClassifier", in_channels=2048, num_classes=11)
