"""Commands for trained models.

Predicting, exporting, sharing.
Training and studies have rooms of their own.
"""
